"""A limit of requests per second, for each user or address. Each process counts its own requests."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask, request

from tork_celery.api.authentication import current_username
from tork_celery.api.context import ApiContext
from tork_celery.domain.errors import TooManyRequests

_MAX_BUCKETS = 10_000
_UNLIMITED = ("/health", "/health/live", "/health/ready", "/events")


def limit_rate(app: Flask, api: ApiContext) -> None:
    """Answer 429 to a client that sends more than `api.rate_limit` requests per second.

    Register this after the authentication: a client is a user, or an address if there is no user.
    """
    if api.rate_limit is None:
        return
    limiter = RateLimiter(api.rate_limit)

    @app.before_request
    def limit() -> None:
        if request.path in _UNLIMITED:
            return
        username = current_username()
        client = ("user", username) if username is not None else ("address", request.remote_addr or "")
        wait_s = limiter.take(client)
        if wait_s > 0:
            raise TooManyRequests(
                f"more than {api.rate_limit:g} requests a second; send fewer", retry_after_s=wait_s
            )


@dataclass(slots=True)
class _Bucket:
    """The requests that a client may send at once, as of `updated_s`."""

    tokens: float
    updated_s: float


class RateLimiter:
    """A token bucket for each client, with room for the requests of one second. Thread-safe.

    It forgets the clients that have been silent for longest, beyond 10,000.
    """

    def __init__(self, per_second: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._capacity = max(1.0, per_second)
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[tuple[str, str], _Bucket] = OrderedDict()

    def take(self, client: tuple[str, str]) -> float:
        """Count a request. Return 0, or the seconds after which the client may send its next one."""
        with self._lock:
            bucket = self._refilled(client)
            if bucket.tokens < 1.0:
                return (1.0 - bucket.tokens) / self._per_second
            bucket.tokens -= 1.0
            return 0.0

    def _refilled(self, client: tuple[str, str]) -> _Bucket:
        now_s = self._clock()
        bucket = self._buckets.setdefault(client, _Bucket(self._capacity, now_s))
        self._buckets.move_to_end(client)
        if len(self._buckets) > _MAX_BUCKETS:
            self._buckets.popitem(last=False)
        gained = (now_s - bucket.updated_s) * self._per_second
        bucket.tokens = min(self._capacity, bucket.tokens + gained)
        bucket.updated_s = now_s
        return bucket
