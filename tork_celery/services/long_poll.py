"""Clients that wait for their jobs to end."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tork_celery.domain.errors import DatastoreUnavailable, StillRunning, TooManyWaiters
from tork_celery.services.context import ServiceContext
from tork_celery.store import jobs

_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.5
_GROWTH = 1.5


def pauses_s() -> Iterator[float]:
    """How long to wait between two looks at a job: hardly at all while it may be a short one, and never so
    long that a user would notice."""
    pause_s = _FIRST_PAUSE_S
    while True:
        yield pause_s
        pause_s = min(_LONGEST_PAUSE_S, pause_s * _GROWTH)


class JobWaiter:
    """Has room for so many at a time: each holds a thread, and no connection between two looks."""

    def __init__(
        self,
        *,
        slots: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._seats = slots
        self._free = threading.BoundedSemaphore(slots)
        self._clock = clock
        self._sleep = sleep

    @contextmanager
    def slot(self) -> Iterator[None]:
        """To be taken before the job is submitted. Raises TooManyWaiters."""
        if not self._free.acquire(blocking=False):
            raise TooManyWaiters(f"{self._seats} clients wait already; try again, or submit without `wait`")
        try:
            yield
        finally:
            self._free.release()

    def wait_until_ended(self, context: ServiceContext, job_id: str, *, timeout_s: float) -> None:
        """Looks again and again, also while the datastore is away. Raises StillRunning."""
        deadline = self._clock() + timeout_s
        for pause_s in pauses_s():
            if _has_ended(context, job_id):
                return
            left_s = deadline - self._clock()
            if left_s <= 0:
                raise StillRunning(f"the job {job_id} has not ended within its `wait`; it goes on")
            self._sleep(min(pause_s, left_s))


def _has_ended(context: ServiceContext, job_id: str) -> bool:
    try:
        with context.database.reading() as tx:
            state = jobs.state(tx, job_id)
    except DatastoreUnavailable:
        return False
    return state is None or state.ended
