"""Password checks, with a cache of correct passwords."""

import functools
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from werkzeug.security import check_password_hash, generate_password_hash

from tork_celery.domain.user import LONGEST_PASSWORD

_METHOD = "scrypt:32768:8:1"  # the parameters of werkzeug's default: about 50 ms and 32 MiB
_CACHED_S = 300.0
_MAX_CACHED = 1024


def hash_password(password: str) -> str:
    """Return the scrypt hash of a password, with a random salt. Slow, so call it outside transactions."""
    return generate_password_hash(password, _METHOD)


class Passwords:
    """Checks passwords against scrypt hashes and caches correct ones for 5 minutes. Thread-safe.

    A scrypt check takes 50 ms and 32 MiB by design, and clients send the password with every request. A cache
    entry is an HMAC of the stored hash and the password, with a random key of this process. It is useless
    outside the process, and a changed password does not match it.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._cached_until: OrderedDict[bytes, float] = OrderedDict()

    def matches(self, password_hash: str | None, password: str) -> bool:
        """Return whether the password is correct. Without a hash, for an unknown user, return False after the
        same time as for a wrong password."""
        if len(password) > LONGEST_PASSWORD:
            return False
        if password_hash is None:
            check_password_hash(_dummy_hash(), password)
            return False
        if self.is_cached(password_hash, password):
            return True
        if not check_password_hash(password_hash, password):
            return False
        self._cache(self._digest(password_hash, password))
        return True

    def is_cached(self, password_hash: str | None, password: str) -> bool:
        """Return whether the password was correct in the last 5 minutes. Fast."""
        if password_hash is None or len(password) > LONGEST_PASSWORD:
            return False
        digest = self._digest(password_hash, password)
        with self._lock:
            return self._cached_until.get(digest, 0.0) > self._clock()

    def _digest(self, password_hash: str, password: str) -> bytes:
        return hmac.digest(self._key, f"{password_hash}\0{password}".encode(), "sha256")

    def _cache(self, digest: bytes) -> None:
        with self._lock:
            self._cached_until[digest] = self._clock() + _CACHED_S
            self._cached_until.move_to_end(digest)
            if len(self._cached_until) > _MAX_CACHED:
                self._cached_until.popitem(last=False)


@functools.cache
def _dummy_hash() -> str:
    return hash_password(secrets.token_hex())
