"""Whether a password is right."""

import functools
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from werkzeug.security import check_password_hash, generate_password_hash

from tork_celery.domain.user import LONGEST_PASSWORD

_REMEMBERED_S = 300.0
_MOST_REMEMBERED = 1024


class Passwords:
    """Checks passwords, and remembers for a while which were right.

    A check by scrypt takes 50 ms and 32 MiB, on purpose, and clients send their password with every request.
    What is remembered is a digest of the password and the stored hash, by a key that this process drew: it is
    of no use to others, and what is remembered of a password that was changed matches nothing any more.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._right_until: OrderedDict[bytes, float] = OrderedDict()

    def matches(self, password_hash: str | None, password: str) -> bool:
        """With no hash, for a user who is not there, it is wrong, and takes as long to say so."""
        if len(password) > LONGEST_PASSWORD:
            return False
        if password_hash is None:
            check_password_hash(_nobodys_hash(), password)
            return False
        digest = hmac.digest(self._key, f"{password_hash}\0{password}".encode(), "sha256")
        if self._is_remembered(digest):
            return True
        if not check_password_hash(password_hash, password):
            return False
        self._remember(digest)
        return True

    def _is_remembered(self, digest: bytes) -> bool:
        with self._lock:
            return self._right_until.get(digest, 0.0) > self._clock()

    def _remember(self, digest: bytes) -> None:
        with self._lock:
            self._right_until[digest] = self._clock() + _REMEMBERED_S
            self._right_until.move_to_end(digest)
            if len(self._right_until) > _MOST_REMEMBERED:
                self._right_until.popitem(last=False)


@functools.cache
def _nobodys_hash() -> str:
    return generate_password_hash(secrets.token_hex())
