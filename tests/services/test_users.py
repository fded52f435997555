"""Users: passwords and keys are stored as hashes only; invalid names, roles and passwords are rejected."""

import pytest
from sqlalchemy import select
from werkzeug.security import check_password_hash

from tests.store.stores import FlakyDatabase
from tork_celery.domain.errors import InvalidInput, NotFound
from tork_celery.domain.user import NewUser
from tork_celery.services import users
from tork_celery.store import tables

ADA = NewUser(username="ada", password="s3cret")


def stored_rows(database: FlakyDatabase) -> str:
    with database.reading() as tx:
        return str(tx.execute(select(tables.users)).all())


def test_password_is_stored_as_hash(database: FlakyDatabase) -> None:
    added = users.add(database, ADA, roles=["ops"])

    assert check_password_hash(added.password_hash, "s3cret")
    assert added.password_hash.startswith("scrypt:")
    assert "s3cret" not in stored_rows(database)
    assert added.name == "ada"
    assert set(added.roles) == {"ops"}
    assert set(added.all_roles) == {"ops", "public"}


def test_taken_name_is_rejected(database: FlakyDatabase) -> None:
    users.add(database, ADA)

    with pytest.raises(InvalidInput, match="username: 'ada' is taken"):
        users.add(database, ADA)


@pytest.mark.parametrize("name", ["", "a b", "a:b", ".a", "ä", "a\n", "a\x00", "x" * 65])
def test_invalid_name_is_rejected(database: FlakyDatabase, name: str) -> None:
    with pytest.raises(InvalidInput, match=r"^username: .* letters, digits"):
        users.add(database, NewUser(username=name, password="p"))


def test_all_faults_are_reported_together(database: FlakyDatabase) -> None:
    with pytest.raises(InvalidInput) as error:
        users.add(database, NewUser(username="a b", password="", name="n" * 300), roles=["x y"])

    assert [fault.path for fault in error.value.faults] == ["username", "role", "password", "name"]


def test_long_password_is_rejected(database: FlakyDatabase) -> None:
    with pytest.raises(InvalidInput, match="password: longer than 1024 characters"):
        users.add(database, NewUser(username="ada", password="x" * 1025))


def test_key_is_stored_as_hash_and_replaces_earlier_key(database: FlakyDatabase) -> None:
    users.add(database, ADA)

    first, second = users.new_key(database, "ada"), users.new_key(database, "ada")

    assert first != second
    assert len(second) > 40
    assert second not in stored_rows(database)
    assert users.key_hash(second) in stored_rows(database)
    assert users.key_hash(first) not in stored_rows(database)


def test_password_roles_and_access_can_be_changed(database: FlakyDatabase) -> None:
    users.add(database, ADA)

    users.set_password(database, "ada", "other")
    users.set_role(database, "ada", "ops", granted=True)
    users.set_role(database, "ada", "admin", granted=True)
    users.set_role(database, "ada", "ops", granted=False)
    users.set_disabled(database, "ada", disabled=True)

    [ada] = users.list_users(database)
    assert check_password_hash(ada.password_hash, "other")
    assert (set(ada.roles), ada.is_admin, ada.disabled) == ({"admin"}, True, True)


def test_unknown_user_cannot_be_changed(database: FlakyDatabase) -> None:
    for change in (
        lambda: users.new_key(database, "ada"),
        lambda: users.set_password(database, "ada", "p"),
        lambda: users.set_disabled(database, "ada", disabled=True),
        lambda: users.set_role(database, "ada", "ops", granted=True),
    ):
        with pytest.raises(NotFound, match="no user named 'ada'"):
            change()
