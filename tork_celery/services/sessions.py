"""Sessions of the web pages: a signed text in a cookie, which no table holds.

The text has the user name and the time of the sign-in. It is signed with a key derived from the stored hash
of the password, which is random and never leaves the datastore. So a new password ends all sessions of a
user, and a session is valid in every API process and after restarts.
"""

from itsdangerous import BadSignature, TimestampSigner

from tork_celery.domain.errors import Unauthenticated
from tork_celery.domain.user import User, is_name
from tork_celery.store import Database, users

COOKIE = "tork_session"
MAX_AGE_S = 14 * 24 * 3600
_SALT = "tork_celery.session"


def issue(user: User) -> str:
    """Return the text of a new session."""
    return _signer(user).sign(user.username).decode()


def user_of(database: Database, session: str) -> User:
    """Return the user of a session. Raises Unauthenticated, DatastoreUnavailable."""
    username = session.rsplit(".", 2)[0]
    if is_name(username):
        with database.reading() as tx:
            user = users.get(tx, username)
        if user is not None and not user.disabled:
            try:
                _signer(user).unsign(session, max_age=MAX_AGE_S)
            except BadSignature:
                pass
            else:
                return user
    raise Unauthenticated("the session has ended; sign in again")


def _signer(user: User) -> TimestampSigner:
    return TimestampSigner(user.password_hash, salt=_SALT)
