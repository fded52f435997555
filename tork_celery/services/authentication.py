"""Authentication of API users, by password or by key."""

from collections.abc import Collection

from tork_celery.domain.errors import Unauthenticated
from tork_celery.domain.user import User, is_name
from tork_celery.services.passwords import Passwords
from tork_celery.services.users import key_hash
from tork_celery.store import Database, users

BASIC, KEY = "basic", "key"


class Authenticator:
    """Authenticates users by the accepted `schemes`: BASIC, KEY, or both."""

    def __init__(
        self, database: Database, *, schemes: Collection[str], passwords: Passwords | None = None
    ) -> None:
        self.schemes = tuple(schemes)
        self._database = database
        self._passwords = passwords or Passwords()

    def by_password(self, username: str, password: str) -> User:
        """Return the user with this name and password. Raises Unauthenticated, DatastoreUnavailable."""
        self._check_scheme(BASIC)
        user = self._user(username)
        if not self._passwords.matches(user.password_hash if user else None, password):
            raise Unauthenticated("the user name or the password is wrong")
        return _enabled(user)

    def by_key(self, key: str) -> User:
        """Return the user with this key. Raises Unauthenticated, DatastoreUnavailable."""
        self._check_scheme(KEY)
        with self._database.reading() as tx:
            user = users.get_by_key(tx, key_hash(key))
        if user is None:
            raise Unauthenticated("the key is wrong")
        return _enabled(user)

    def _user(self, username: str) -> User | None:
        if not is_name(username):
            return None
        with self._database.reading() as tx:
            return users.get(tx, username)

    def _check_scheme(self, scheme: str) -> None:
        if scheme not in self.schemes:
            accepted = " or ".join(self.schemes)
            raise Unauthenticated(f"the API accepts authentication by {accepted}, not by {scheme}")


def _enabled(user: User | None) -> User:
    if user is None or user.disabled:
        raise Unauthenticated("the user is disabled")
    return user
