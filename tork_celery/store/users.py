"""Queries of users, their roles and their API keys."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite

from tork_celery.domain.user import BUILT_IN_ROLES, User
from tork_celery.store.database import datastore_now
from tork_celery.store.tables import roles, user_roles, users


def add(
    tx: Connection, *, username: str, name: str, password_hash: str, created_by: str | None = None
) -> bool:
    """Add a user without roles. Returns False, and changes nothing, if the username exists."""
    values: dict[str, Any] = {"username": username, "name": name, "password_hash": password_hash}
    values |= {"disabled": False, "created_at": datastore_now(), "created_by": created_by}
    return _insert_new(tx, users, values)


def get(tx: Connection, username: str) -> User | None:
    return _get(tx, select(users).where(users.c.username == username))


def get_by_key(tx: Connection, key_hash: str) -> User | None:
    """Return the user whose API key has this hash."""
    return _get(tx, select(users).where(users.c.key_hash == key_hash))


def list_all(tx: Connection) -> list[User]:
    """Return all users, by username."""
    rows = tx.execute(select(users).order_by(users.c.username)).all()
    return [_user(row, _roles_of(tx, row.username)) for row in rows]


def grant_role(tx: Connection, username: str, role: str) -> None:
    """Give a user a role. The role is created if it does not exist."""
    _insert_new(tx, roles, {"name": role})
    _insert_new(tx, user_roles, {"username": username, "role": role})


def revoke_role(tx: Connection, username: str, role: str) -> None:
    tx.execute(delete(user_roles).where(user_roles.c.username == username, user_roles.c.role == role))


def set_columns(tx: Connection, username: str, **values: Any) -> bool:
    """Set columns of a user. Returns False if the user does not exist."""
    return tx.execute(update(users).where(users.c.username == username).values(**values)).rowcount == 1


def existing_users(tx: Connection, names: Iterable[str]) -> set[str]:
    """Return the names that are usernames."""
    return set(tx.scalars(select(users.c.username).where(users.c.username.in_(set(names)))))


def existing_roles(tx: Connection, names: Iterable[str]) -> set[str]:
    """Return the names that are roles, built-in roles included."""
    return {*BUILT_IN_ROLES, *tx.scalars(select(roles.c.name).where(roles.c.name.in_(set(names))))}


def _insert_new(tx: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row unless its key exists. Returns whether it was inserted."""
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    query = dialect.insert(table).values(**values).on_conflict_do_nothing().returning(literal(1))
    return tx.scalar(query) is not None


def _get(tx: Connection, query: Any) -> User | None:
    row = tx.execute(query).one_or_none()
    return None if row is None else _user(row, _roles_of(tx, row.username))


def _roles_of(tx: Connection, username: str) -> Sequence[str]:
    return tx.scalars(select(user_roles.c.role).where(user_roles.c.username == username)).all()


def _user(row: Row[Any], role_names: Iterable[str]) -> User:
    return User(
        username=row.username,
        name=row.name,
        password_hash=row.password_hash,
        created_at=row.created_at,
        roles=frozenset(role_names),
        disabled=row.disabled,
        created_by=row.created_by,
    )
