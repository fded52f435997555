"""Users, roles and keys are stored; usernames are unique."""

from tork_celery.domain.user import User
from tork_celery.store import Database, users


def add(database: Database, username: str, *roles: str) -> User:
    with database.transaction() as tx:
        assert users.add(tx, username=username, name="A. User", password_hash="h")
        for role in roles:
            users.grant_role(tx, username, role)
        user = users.get(tx, username)
    assert user is not None
    return user


def test_user_round_trips_with_roles(database: Database) -> None:
    ada = add(database, "ada", "ops", "admin", "ops")

    assert (ada.username, ada.name, ada.password_hash, ada.disabled) == ("ada", "A. User", "h", False)
    assert ada.roles == {"ops", "admin"}
    assert ada.created_at > 0
    assert "h'" not in repr(ada)


def test_username_is_unique(database: Database) -> None:
    ada = add(database, "ada")

    with database.transaction() as tx:
        assert not users.add(tx, username="ada", name="another", password_hash="x")
        assert users.get(tx, "ada") == ada
        assert users.get(tx, "bob") is None


def test_user_is_found_by_key(database: Database) -> None:
    add(database, "ada", "ops")
    add(database, "bob")

    with database.transaction() as tx:
        assert users.set_columns(tx, "ada", key_hash="k")
        assert not users.set_columns(tx, "nobody", key_hash="k2")
        user = users.get_by_key(tx, "k")
        assert user is not None
        assert (user.username, user.roles) == ("ada", frozenset({"ops"}))
        assert users.get_by_key(tx, "k2") is None


def test_role_is_revoked_from_one_user(database: Database) -> None:
    add(database, "ada", "ops")
    add(database, "bob", "ops")

    with database.transaction() as tx:
        users.revoke_role(tx, "ada", "ops")

    with database.reading() as tx:
        assert [(user.username, user.roles) for user in users.list_all(tx)] == [
            ("ada", frozenset()),
            ("bob", frozenset({"ops"})),
        ]


def test_existing_names_are_returned(database: Database) -> None:
    add(database, "ada", "ops")

    with database.reading() as tx:
        assert users.existing_users(tx, ["ada", "bob"]) == {"ada"}
        assert users.existing_roles(tx, ["ops", "devs"]) == {"ops", "admin", "public"}
