"""Users: add them, change them, and create their keys.

Passwords are stored as scrypt hashes. Keys are random and long, so a fast SHA-256 hash is enough for them.
"""

import hashlib
import secrets
from collections.abc import Iterable

from werkzeug.security import generate_password_hash

from tork_celery.domain.errors import Fault, InvalidInput, NotFound
from tork_celery.domain.user import LONGEST_DISPLAY_NAME, LONGEST_PASSWORD, NewUser, User, check_name
from tork_celery.store import Database, users

_KEY_PREFIX = "tork_"
_KEY_BYTES = 32


def add(database: Database, new: NewUser, *, roles: Iterable[str] = ()) -> User:
    """Add a user with roles. Raises InvalidInput, also for a name that is taken."""
    check(new, roles=roles)
    password_hash = generate_password_hash(new.password)  # slow by design, so before the transaction
    with database.transaction() as tx:
        name = new.name or new.username
        if not users.add(tx, username=new.username, name=name, password_hash=password_hash):
            raise InvalidInput(Fault(path="username", message=f"{new.username!r} is taken"))
        for role in roles:
            users.grant_role(tx, new.username, role)
        added = users.get(tx, new.username)
    assert added is not None  # noqa: S101  it was added in this transaction
    return added


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


def set_password(database: Database, username: str, password: str) -> None:
    """Raises InvalidInput, NotFound."""
    check(NewUser(username=username, password=password))
    _set_columns(database, username, password_hash=generate_password_hash(password))


def new_key(database: Database, username: str) -> str:
    """Create the key of a user, replacing an earlier one. It cannot be read again. Raises NotFound."""
    key = _KEY_PREFIX + secrets.token_urlsafe(_KEY_BYTES)
    _set_columns(database, username, key_hash=key_hash(key))
    return key


def key_hash(key: str) -> str:
    """Return the hash under which a key is stored."""
    return hashlib.sha256(key.encode()).hexdigest()


def set_disabled(database: Database, username: str, *, disabled: bool) -> None:
    """Disable or enable a user. The name of a disabled user stays taken, because jobs refer to it. Raises
    NotFound."""
    _set_columns(database, username, disabled=disabled)


def set_role(database: Database, username: str, role: str, *, granted: bool) -> None:
    """Grant or revoke a role. Raises InvalidInput, NotFound."""
    if faults := list(_name_faults("role", [role])):
        raise InvalidInput(*faults)
    with database.transaction() as tx:
        if users.get(tx, username) is None:
            raise _not_found(username)
        (users.grant_role if granted else users.revoke_role)(tx, username, role)


def list_users(database: Database) -> list[User]:
    """Return all users, by name."""
    with database.reading() as tx:
        return users.list_all(tx)


def _set_columns(database: Database, username: str, **values: object) -> None:
    with database.transaction() as tx:
        if not users.set_columns(tx, username, **values):
            raise _not_found(username)


def _not_found(username: str) -> NotFound:
    return NotFound(f"no user named {username!r}")


def _name_faults(path: str, names: Iterable[str]) -> Iterable[Fault]:
    for name in names:
        try:
            check_name(name)
        except ValueError as error:
            yield Fault(path=path, message=str(error))
