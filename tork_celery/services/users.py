"""Users: add them, change them, and create their keys.

Passwords are stored as scrypt hashes. Keys are random and long, so a fast SHA-256 hash is enough for them.
"""

import hashlib
import secrets
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection

from tork_celery.domain.audit import Action, Actor
from tork_celery.domain.errors import Fault, InvalidInput, NotFound
from tork_celery.domain.user import (
    LONGEST_DISPLAY_NAME,
    LONGEST_PASSWORD,
    NewUser,
    User,
    UserChange,
    check_name,
)
from tork_celery.services.passwords import hash_password
from tork_celery.store import Database, audit, users

_KEY_PREFIX = "tork_"
_KEY_BYTES = 32


def add(database: Database, new: NewUser, *, roles: Iterable[str] = (), actor: Actor | None = None) -> User:
    """Add a user with roles. Raises InvalidInput, also for a name that is taken."""
    check(new, roles=roles)
    password_hash = hash_password(new.password)  # before the transaction, since it is slow
    with database.transaction() as tx:
        is_new = users.add(
            tx,
            username=new.username,
            name=new.name or new.username,
            password_hash=password_hash,
            created_by=actor.username if actor else None,
        )
        if not is_new:
            raise InvalidInput(Fault(path="username", message=f"{new.username!r} is taken"))
        audit.record(tx, actor, Action.ADD_USER, new.username)
        for role in roles:
            users.grant_role(tx, new.username, role)
            audit.record(tx, actor, Action.GRANT_ROLE, new.username, role)
        added = users.get(tx, new.username)
    assert added is not None  # noqa: S101  it was added in this transaction
    return added


def change(
    database: Database, username: str, wanted: UserChange, *, actor: Actor | None = None
) -> tuple[User, str | None]:
    """Change a user. Return the changed user, and the new key if one is wanted. Raises InvalidInput,
    NotFound."""
    check(
        NewUser(username=username, password="unchanged" if wanted.password is None else wanted.password),
        roles=wanted.roles or (),
    )
    password_hash = None if wanted.password is None else hash_password(wanted.password)
    key = _KEY_PREFIX + secrets.token_urlsafe(_KEY_BYTES) if wanted.new_key else None
    with database.transaction() as tx:
        user = users.get(tx, username)
        if user is None:
            raise _not_found(username)
        columns: dict[Action, dict[str, Any]] = {
            Action.CHANGE_NAME: {"name": wanted.name},
            Action.CHANGE_PASSWORD: {"password_hash": password_hash},
            Action.CREATE_KEY: {"key_hash": None if key is None else key_hash(key)},
            Action.DISABLE_USER if wanted.disabled else Action.ENABLE_USER: {"disabled": wanted.disabled},
        }
        for action, values in columns.items():
            if None not in values.values():
                users.set_columns(tx, username, **values)
                audit.record(tx, actor, action, username)
        if wanted.roles is not None:
            _set_roles(tx, user, frozenset(wanted.roles), actor)
        changed = users.get(tx, username)
    return changed or user, key


def check(new: NewUser, *, roles: Iterable[str] = ()) -> None:
    """Raises InvalidInput for invalid names, roles or passwords."""
    faults = [
        *_name_faults("username", [new.username]),
        *_name_faults("role", roles),
        *([Fault(path="password", message="must not be empty")] if not new.password else []),
    ]
    if len(new.password) > LONGEST_PASSWORD:
        faults.append(Fault(path="password", message=f"longer than {LONGEST_PASSWORD} characters"))
    if len(new.name or "") > LONGEST_DISPLAY_NAME:
        faults.append(Fault(path="name", message=f"longer than {LONGEST_DISPLAY_NAME} characters"))
    if faults:
        raise InvalidInput(*faults)


def set_password(database: Database, username: str, password: str, *, actor: Actor | None = None) -> None:
    """Raises InvalidInput, NotFound."""
    check(NewUser(username=username, password=password))
    change(database, username, UserChange(password=password), actor=actor)


def new_key(database: Database, username: str, *, actor: Actor | None = None) -> str:
    """Create the key of a user, replacing an earlier one. It cannot be read again. Raises NotFound."""
    _, key = change(database, username, UserChange(new_key=True), actor=actor)
    return key or ""


def key_hash(key: str) -> str:
    """Return the hash under which a key is stored."""
    return hashlib.sha256(key.encode()).hexdigest()


def set_disabled(database: Database, username: str, *, disabled: bool, actor: Actor | None = None) -> None:
    """Disable or enable a user. The name of a disabled user stays taken, because jobs refer to it. Raises
    NotFound."""
    change(database, username, UserChange(disabled=disabled), actor=actor)


def set_role(
    database: Database, username: str, role: str, *, granted: bool, actor: Actor | None = None
) -> None:
    """Grant or revoke a role. Raises InvalidInput, NotFound."""
    if faults := list(_name_faults("role", [role])):
        raise InvalidInput(*faults)
    with database.transaction() as tx:
        user = users.get(tx, username)
        if user is None:
            raise _not_found(username)
        _set_roles(tx, user, user.roles | {role} if granted else user.roles - {role}, actor)


def list_users(database: Database) -> list[User]:
    """Return all users, by name."""
    with database.reading() as tx:
        return users.list_all(tx)


def _set_roles(tx: Connection, user: User, roles: frozenset[str], actor: Actor | None) -> None:
    for role in sorted(roles - user.roles):
        users.grant_role(tx, user.username, role)
        audit.record(tx, actor, Action.GRANT_ROLE, user.username, role)
    for role in sorted(user.roles - roles):
        users.revoke_role(tx, user.username, role)
        audit.record(tx, actor, Action.REVOKE_ROLE, user.username, role)


def _not_found(username: str) -> NotFound:
    return NotFound(f"no user named {username!r}")


def _name_faults(path: str, names: Iterable[str]) -> Iterable[Fault]:
    for name in names:
        try:
            check_name(name)
        except ValueError as error:
            yield Fault(path=path, message=str(error))
