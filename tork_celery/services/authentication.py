"""Authentication of API users, by password or by key."""

from collections.abc import Collection

from tork_celery.domain.errors import Unauthenticated
from tork_celery.domain.user import User, is_name
from tork_celery.services import sessions
from tork_celery.services.login_guard import LoginGuard
from tork_celery.services.passwords import Passwords
from tork_celery.services.users import key_hash
from tork_celery.store import Database, users

BASIC, KEY = "basic", "key"


class Authenticator:
    """Authenticates users by the accepted `schemes`: BASIC, KEY, or both."""

    def __init__(
        self,
        database: Database,
        *,
        schemes: Collection[str],
        passwords: Passwords | None = None,
        guard: LoginGuard | None = None,
    ) -> None:
        self.schemes = tuple(schemes)
        self._database = database
        self._passwords = passwords or Passwords()
        self._guard = guard or LoginGuard()

    def by_password(self, username: str, password: str, *, address: str = "") -> User:
        """Return the user with this name and password, who sends it from a network address.

        A password that was correct in the last minutes is never delayed. Raises Unauthenticated,
        TooManyRequests, DatastoreUnavailable.
        """
        self._check_scheme(BASIC)
        user = self._user(username)
        password_hash = user.password_hash if user else None
        if not self._passwords.is_cached(password_hash, password) and not self._guard.check(
            username, address, lambda: self._passwords.matches(password_hash, password)
        ):
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

    def by_session(self, session: str) -> User:
        """Return the user of a session of the web pages. Raises Unauthenticated, DatastoreUnavailable."""
        return sessions.user_of(self._database, session)

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
