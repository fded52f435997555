"""Users are added with passwords and keys of which only hashes are kept."""

import pytest
from sqlalchemy import select
from werkzeug.security import check_password_hash

from tests.store.stores import CuttableDatabase
from tork_celery.domain.errors import InvalidInput, NotFound
from tork_celery.domain.user import NewUser
from tork_celery.services import users
from tork_celery.store import tables

ADA = NewUser(username="ada", password="s3cret")


def stored(database: CuttableDatabase) -> str:
    with database.reading() as tx:
        return str(tx.execute(select(tables.users)).all())


def test_only_a_hash_of_the_password_is_stored(database: CuttableDatabase) -> None:
    added = users.add(database, ADA, roles=["ops"])

    assert check_password_hash(added.password_hash, "s3cret")
    assert added.password_hash.startswith("scrypt:")
    assert "s3cret" not in stored(database)
    assert (added.name, added.roles, added.all_roles) == ("ada", {"ops"}, {"ops", "public"})


def test_a_taken_name_is_refused(database: CuttableDatabase) -> None:
    users.add(database, ADA)

    with pytest.raises(InvalidInput, match="username: 'ada' is taken"):
        users.add(database, ADA)


@pytest.mark.parametrize("name", ["", "a b", "a:b", ".a", "ä", "a\n", "a\x00", "x" * 65])
def test_what_is_no_name_is_refused(database: CuttableDatabase, name: str) -> None:
    with pytest.raises(InvalidInput, match=r"username: .* is no name for a user or role: it has letters"):
        users.add(database, NewUser(username=name, password="p"))


def test_all_that_is_wrong_is_said_at_once(database: CuttableDatabase) -> None:
    with pytest.raises(InvalidInput) as refused:
        users.add(database, NewUser(username="a b", password="", name="n" * 300), roles=["x y"])

    assert [fault.path for fault in refused.value.faults] == ["username", "role", "password", "name"]


def test_an_endless_password_is_refused(database: CuttableDatabase) -> None:
    with pytest.raises(InvalidInput, match="password: longer than 1024 characters"):
        users.add(database, NewUser(username="ada", password="x" * 1025))


def test_only_a_hash_of_a_key_is_stored(database: CuttableDatabase) -> None:
    users.add(database, ADA)

    first, second = users.new_key(database, "ada"), users.new_key(database, "ada")

    assert first != second
    assert len(second) > 40
    assert second not in stored(database)
    assert users.key_hash(second) in stored(database)
    assert users.key_hash(first) not in stored(database)


def test_a_user_changes(database: CuttableDatabase) -> None:
    users.add(database, ADA)

    users.set_password(database, "ada", "other")
    users.set_role(database, "ada", "ops", given=True)
    users.set_role(database, "ada", "admin", given=True)
    users.set_role(database, "ada", "ops", given=False)
    users.set_disabled(database, "ada", disabled=True)

    [ada] = users.everybody(database)
    assert check_password_hash(ada.password_hash, "other")
    assert (ada.roles, ada.is_admin, ada.disabled) == ({"admin"}, True, True)


def test_who_is_not_there_cannot_change(database: CuttableDatabase) -> None:
    for change in (
        lambda: users.new_key(database, "ada"),
        lambda: users.set_password(database, "ada", "p"),
        lambda: users.set_disabled(database, "ada", disabled=True),
        lambda: users.set_role(database, "ada", "ops", given=True),
    ):
        with pytest.raises(NotFound, match="there is no user 'ada'"):
            change()
