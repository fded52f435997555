"""Waiting for a part of the system that does not answer."""

import random
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from tork_celery.domain.backoff import Backoff
from tork_celery.domain.errors import DatastoreUnavailable
from tork_celery.runtime.protocol import Detached

T = TypeVar("T")

_BACKOFF = Backoff(first_s=0.2, longest_s=5.0)
_JITTER = (0.75, 1.25)


def delays_s() -> Iterator[float]:
    """Yield the delays of an exponential back-off with jitter, from 0.2 s to 5 s, without end."""
    for delay_s in _BACKOFF.delays_s():
        yield delay_s * random.uniform(*_JITTER)  # noqa: S311  not for secrecy


class InterruptibleBackoff:
    """The delays of `delays_s`, until `interrupt` is set."""

    def __init__(self, interrupt: threading.Event) -> None:
        self._interrupt = interrupt
        self._delays_s = delays_s()

    def wait(self) -> bool:
        """Wait before the next attempt. Return False when interrupted."""
        return not self._interrupt.wait(next(self._delays_s))

    def until_answered(self, action: Callable[[], T]) -> T:
        """Repeat `action` until the datastore answers, and return its result.

        Raises Detached when interrupted.
        """
        while True:
            try:
                return action()
            except DatastoreUnavailable as error:
                if not self.wait():
                    raise Detached from error
