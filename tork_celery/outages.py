"""Outages of the parts that a process needs: one log line when a part goes away, one when it is back."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import structlog

from tork_celery.domain.backoff import Backoff
from tork_celery.domain.errors import Unavailable

log = structlog.get_logger(__name__)
T = TypeVar("T")

_SETTLED_AFTER_S = 5.0
_BACKOFF = Backoff(first_s=0.2, longest_s=2.0)


class OutageLog:
    """Logs the beginning and the end of each outage of one part, which `error` stands for. Thread-safe.

    An outage ends when a call succeeds `settled_after_s` after the last failure. So an overloaded part, whose
    calls fail now and then, has one outage.
    """

    def __init__(
        self,
        part: str,
        error: type[Unavailable],
        *,
        settled_after_s: float = _SETTLED_AFTER_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.error = error
        self._part = part
        self._settled_after_s = settled_after_s
        self._clock = clock
        self._lock = threading.Lock()
        self._away_since_s: float | None = None
        self._last_failure_s = 0.0

    @property
    def active(self) -> bool:
        """Whether an outage has begun and not ended."""
        return self._away_since_s is not None

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Report how a call ends: a failure if it raises the part's error, a success if it raises nothing."""
        try:
            yield
        except self.error as failure:
            self.failed(str(failure))
            raise
        self.succeeded()

    def failed(self, reason: str) -> None:
        with self._lock:
            self._last_failure_s = self._clock()
            if self._away_since_s is None:
                self._away_since_s = self._last_failure_s
                log.warning("outage.started", part=self._part, reason=" ".join(reason.split()))

    def succeeded(self) -> None:
        if self.active and self._clock() - self._last_failure_s >= self._settled_after_s:
            self.ended()

    def ended(self) -> None:
        """End the outage, if there is one, without waiting for the part to settle."""
        with self._lock:
            if self._away_since_s is not None:
                seconds = round(self._clock() - self._away_since_s, 1)
                log.warning("outage.ended", part=self._part, seconds=seconds)
                self._away_since_s = None


def until_available(action: Callable[[], T], *outages: OutageLog) -> T:
    """Repeat `action` until it raises no Unavailable, and return its result.

    `outages` are those of the parts that it needs.
    """
    delays_s = _BACKOFF.delays_s()
    while True:
        try:
            result = action()
        except Unavailable as error:
            for each in outages:
                if isinstance(error, each.error):
                    each.failed(str(error))
            time.sleep(next(delays_s))
        else:
            for each in outages:
                each.ended()
            return result
