"""Users are added and changed. Passwords are stored as scrypt hashes, keys, being random, as SHA-256 ones."""

import hashlib
import secrets
from collections.abc import Iterable

from werkzeug.security import generate_password_hash

from tork_celery.domain import user as rules
from tork_celery.domain.errors import Fault, InvalidInput, NotFound
from tork_celery.domain.user import NewUser, User
from tork_celery.store import Database, users

_KEY_PREFIX = "tork_"
_KEY_BYTES = 32


def add(database: Database, new: NewUser, *, roles: Iterable[str] = ()) -> User:
    """Raises InvalidInput for a name that is taken, or is none."""
    check(new, roles=roles)
    password_hash = generate_password_hash(new.password)  # slow on purpose, so before the transaction
    with database.transaction() as tx:
        name = new.name or new.username
        if not users.add(tx, username=new.username, name=name, password_hash=password_hash):
            raise InvalidInput(Fault(path="username", message=f"{new.username!r} is taken"))
        for role in roles:
            users.give_role(tx, new.username, role)
        added = users.get(tx, new.username)
    assert added is not None  # noqa: S101  it was added in this transaction
    return added


def check(new: NewUser, *, roles: Iterable[str] = ()) -> None:
    """Raises InvalidInput for what no user could be."""
    faults = [
        *_faults("username", [new.username]),
        *_faults("role", roles),
        *([Fault(path="password", message="must not be empty")] if not new.password else []),
    ]
    if len(new.password) > rules.LONGEST_PASSWORD:
        longest = rules.LONGEST_PASSWORD
        faults.append(Fault(path="password", message=f"longer than {longest} characters"))
    if len(new.name or "") > rules.LONGEST_DISPLAY_NAME:
        faults.append(Fault(path="name", message=f"longer than {rules.LONGEST_DISPLAY_NAME} characters"))
    if faults:
        raise InvalidInput(*faults)


def set_password(database: Database, username: str, password: str) -> None:
    """Raises InvalidInput, NotFound."""
    check(NewUser(username=username, password=password))
    _change(database, username, password_hash=generate_password_hash(password))


def new_key(database: Database, username: str) -> str:
    """A key for a user, in the place of an earlier one. It cannot be shown again. Raises NotFound."""
    key = _KEY_PREFIX + secrets.token_urlsafe(_KEY_BYTES)
    _change(database, username, key_hash=key_hash(key))
    return key


def key_hash(key: str) -> str:
    """What is stored of a key: it is too random to be guessed, so a fast hash will do."""
    return hashlib.sha256(key.encode()).hexdigest()


def set_disabled(database: Database, username: str, *, disabled: bool) -> None:
    """Let a user in no more, or again. The name stays taken: jobs are its own. Raises NotFound."""
    _change(database, username, disabled=disabled)


def set_role(database: Database, username: str, role: str, *, given: bool) -> None:
    """Raises InvalidInput, NotFound."""
    if faults := list(_faults("role", [role])):
        raise InvalidInput(*faults)
    with database.transaction() as tx:
        if users.get(tx, username) is None:
            raise _no_user(username)
        (users.give_role if given else users.take_role)(tx, username, role)


def everybody(database: Database) -> list[User]:
    """By name."""
    with database.reading() as tx:
        return users.all_of_them(tx)


def _change(database: Database, username: str, **values: object) -> None:
    with database.transaction() as tx:
        if not users.change(tx, username, **values):
            raise _no_user(username)


def _no_user(username: str) -> NotFound:
    return NotFound(f"there is no user {username!r}")


def _faults(path: str, names: Iterable[str]) -> Iterable[Fault]:
    for name in names:
        try:
            rules.check_name(name)
        except ValueError as error:
            yield Fault(path=path, message=str(error))
