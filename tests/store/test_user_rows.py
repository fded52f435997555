"""Users come back as they were stored, each name once."""

from tork_celery.domain.user import User
from tork_celery.store import Database, users


def add(database: Database, username: str, *roles: str) -> User:
    with database.transaction() as tx:
        assert users.add(tx, username=username, name="A. User", password_hash="h")
        for role in roles:
            users.grant_role(tx, username, role)
        found = users.get(tx, username)
    assert found is not None
    return found


def test_a_user_comes_back_with_its_roles(database: Database) -> None:
    ada = add(database, "ada", "ops", "admin", "ops")

    assert (ada.username, ada.name, ada.password_hash, ada.disabled) == ("ada", "A. User", "h", False)
    assert ada.roles == {"ops", "admin"}
    assert ada.created_at > 0
    assert "h'" not in repr(ada)


def test_a_name_is_taken_once(database: Database) -> None:
    ada = add(database, "ada")

    with database.transaction() as tx:
        assert not users.add(tx, username="ada", name="another", password_hash="x")
        assert users.get(tx, "ada") == ada
        assert users.get(tx, "bob") is None


def test_a_user_is_found_by_its_key(database: Database) -> None:
    add(database, "ada", "ops")
    add(database, "bob")

    with database.transaction() as tx:
        assert users.set_columns(tx, "ada", key_hash="k")
        assert not users.set_columns(tx, "nobody", key_hash="k2")
        found = users.get_by_key(tx, "k")
        assert found is not None
        assert (found.username, found.roles) == ("ada", {"ops"})
        assert users.get_by_key(tx, "k2") is None


def test_a_role_is_taken_from_one_user_only(database: Database) -> None:
    add(database, "ada", "ops")
    add(database, "bob", "ops")

    with database.transaction() as tx:
        users.revoke_role(tx, "ada", "ops")

    with database.reading() as tx:
        assert [(user.username, user.roles) for user in users.list_all(tx)] == [
            ("ada", set()),
            ("bob", {"ops"}),
        ]


def test_the_names_that_exist_are_known(database: Database) -> None:
    add(database, "ada", "ops")

    with database.reading() as tx:
        assert users.existing_users(tx, ["ada", "bob"]) == {"ada"}
        assert users.existing_roles(tx, ["ops", "devs"]) == {"ops", "admin", "public"}
