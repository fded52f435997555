"""Who asks: a user, by name and password or by a key."""

from collections.abc import Collection

from tork_celery.domain.errors import Unauthenticated
from tork_celery.domain.user import User, is_name
from tork_celery.services.passwords import Passwords
from tork_celery.services.users import key_hash
from tork_celery.store import Database, users

BASIC, KEY = "basic", "key"


class Authenticator:
    """Knows users by the `schemes` that it is told to take: BASIC, KEY. Both raise Unauthenticated and
    DatastoreUnavailable."""

    def __init__(
        self, database: Database, *, schemes: Collection[str], passwords: Passwords | None = None
    ) -> None:
        self.schemes = tuple(schemes)
        self._database = database
        self._passwords = passwords or Passwords()

    def by_password(self, username: str, password: str) -> User:
        """The user of that name and password."""
        self._check_scheme(BASIC)
        user = self._user(username)
        if not self._passwords.matches(user.password_hash if user else None, password):
            raise Unauthenticated("the user name or the password is wrong")
        return _let_in(user)

    def by_key(self, key: str) -> User:
        """The user who has that key."""
        self._check_scheme(KEY)
        with self._database.reading() as tx:
            user = users.of_key(tx, key_hash(key))
        if user is None:
            raise Unauthenticated("there is no such key")
        return _let_in(user)

    def _user(self, username: str) -> User | None:
        if not is_name(username):
            return None
        with self._database.reading() as tx:
            return users.get(tx, username)

    def _check_scheme(self, scheme: str) -> None:
        if scheme not in self.schemes:
            raise Unauthenticated(f"the API is set to take {' or '.join(self.schemes)}, not {scheme}")


def _let_in(user: User | None) -> User:
    if user is None or user.disabled:
        raise Unauthenticated("the user is disabled")
    return user
