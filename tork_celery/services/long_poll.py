"""Long polls: requests that wait until a job has ended."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tork_celery.domain.backoff import Backoff
from tork_celery.domain.errors import DatastoreUnavailable, StillRunning, TooManyWaiters
from tork_celery.services.context import ServiceContext
from tork_celery.store import jobs

POLL_BACKOFF = Backoff(first_s=0.02, longest_s=0.5, factor=1.5)
"""Pauses between two queries of a job's state: short at first, for short jobs, and never longer than a user
would notice."""


class JobWaiter:
    """Waits for jobs in at most `slots` requests at a time.

    A waiting request holds a thread. It holds no connection to the datastore between two queries.
    """

    def __init__(
        self,
        *,
        slots: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._slots = slots
        self._free_slots = threading.BoundedSemaphore(slots)
        self._clock = clock
        self._sleep = sleep

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a slot. Take one before the job is submitted, so that a refused job is not stored. Raises
        TooManyWaiters."""
        if not self._free_slots.acquire(blocking=False):
            raise TooManyWaiters(
                f"{self._slots} clients already wait for jobs; try again later, or submit without `wait`"
            )
        try:
            yield
        finally:
            self._free_slots.release()

    def wait_until_ended(self, context: ServiceContext, job_id: str, *, timeout_s: float) -> None:
        """Return when the job has ended or was deleted. Outages of the datastore are waited out. Raises
        StillRunning after `timeout_s`."""
        deadline = self._clock() + timeout_s
        for pause_s in POLL_BACKOFF.delays_s():
            if _has_ended(context, job_id):
                return
            left_s = deadline - self._clock()
            if left_s <= 0:
                raise StillRunning(f"the job {job_id} has not ended within its `wait`; it keeps running")
            self._sleep(min(pause_s, left_s))


def _has_ended(context: ServiceContext, job_id: str) -> bool:
    try:
        with context.database.reading() as tx:
            state = jobs.state(tx, job_id)
    except DatastoreUnavailable:
        return False
    return state is None or state.ended
