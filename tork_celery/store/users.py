"""Users, their roles and their keys in the datastore."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite

from tork_celery.domain.user import BUILT_IN_ROLES, User
from tork_celery.store.database import datastore_now
from tork_celery.store.tables import roles, user_roles, users


def add(tx: Connection, *, username: str, name: str, password_hash: str) -> bool:
    """Add a user without roles. False when the name is taken; then nothing has changed."""
    values = {"username": username, "name": name, "password_hash": password_hash, "disabled": False}
    return _insert_new(tx, users, values | {"created_at": datastore_now()})


def get(tx: Connection, username: str) -> User | None:
    return _one(tx, select(users).where(users.c.username == username))


def of_key(tx: Connection, key_hash: str) -> User | None:
    """The user who has the key with this hash."""
    return _one(tx, select(users).where(users.c.key_hash == key_hash))


def all_of_them(tx: Connection) -> list[User]:
    """By name."""
    rows = tx.execute(select(users).order_by(users.c.username)).all()
    return [_user(row, _roles_of(tx, row.username)) for row in rows]


def give_role(tx: Connection, username: str, role: str) -> None:
    """A role exists from when it is first given."""
    _insert_new(tx, roles, {"name": role})
    _insert_new(tx, user_roles, {"username": username, "role": role})


def take_role(tx: Connection, username: str, role: str) -> None:
    tx.execute(delete(user_roles).where(user_roles.c.username == username, user_roles.c.role == role))


def change(tx: Connection, username: str, **values: Any) -> bool:
    """Set columns of a user. False when there is no such user."""
    return tx.execute(update(users).where(users.c.username == username).values(**values)).rowcount == 1


def known_users(tx: Connection, names: Iterable[str]) -> set[str]:
    """Those of the names that users have."""
    return set(tx.scalars(select(users.c.username).where(users.c.username.in_(set(names)))))


def known_roles(tx: Connection, names: Iterable[str]) -> set[str]:
    """Those of the names that roles have."""
    return {*BUILT_IN_ROLES, *tx.scalars(select(roles.c.name).where(roles.c.name.in_(set(names))))}


def _insert_new(tx: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row unless there is one of its key."""
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    query = dialect.insert(table).values(**values).on_conflict_do_nothing().returning(literal(1))
    return tx.scalar(query) is not None


def _one(tx: Connection, query: Any) -> User | None:
    row = tx.execute(query).one_or_none()
    return None if row is None else _user(row, _roles_of(tx, row.username))


def _roles_of(tx: Connection, username: str) -> Sequence[str]:
    return tx.scalars(select(user_roles.c.role).where(user_roles.c.username == username)).all()


def _user(row: Row[Any], given: Iterable[str]) -> User:
    return User(
        username=row.username,
        name=row.name,
        password_hash=row.password_hash,
        created_at=row.created_at,
        roles=frozenset(given),
        disabled=row.disabled,
    )
