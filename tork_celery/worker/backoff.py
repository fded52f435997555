"""Patience with a part of the system that does not answer."""

import random
import threading
from collections.abc import Callable
from typing import TypeVar

import structlog

from tork_celery.domain.errors import DatastoreUnavailable
from tork_celery.runtime.protocol import Detached

log = structlog.get_logger(__name__)
T = TypeVar("T")

_FIRST_S = 0.2
_LONGEST_S = 5.0


class Backoff:
    """Waits that grow, with jitter, from 0.2 s to 5 s each; setting `interrupt` ends them."""

    def __init__(self, interrupt: threading.Event) -> None:
        self._interrupt = interrupt
        self._next_s = _FIRST_S

    def wait(self) -> bool:
        """Wait once more; False when interrupted."""
        delay_s = self._next_s * random.uniform(0.75, 1.25)  # noqa: S311  not for secrecy
        self._next_s = min(self._next_s * 2, _LONGEST_S)
        return not self._interrupt.wait(delay_s)

    def until_answered(self, action: Callable[[], T]) -> T:
        """Do it as soon as the datastore answers. Raises Detached when interrupted before."""
        while True:
            try:
                return action()
            except DatastoreUnavailable as error:
                log.warning("worker.datastore_away", reason=str(error))
                if not self.wait():
                    raise Detached from error
