"""Long polls: requests that wait until a job has ended."""

import threading
from collections import Counter
from collections.abc import Callable, Collection

from tork_celery.domain.backoff import Backoff
from tork_celery.domain.errors import DatastoreUnavailable, TooManyWaiters
from tork_celery.services.context import ServiceContext
from tork_celery.store import jobs

POLL_BACKOFF = Backoff(first_s=0.02, longest_s=0.5, factor=1.5)
"""Pauses between two queries of a job's state: short at first, for short jobs, and never longer than a user
would notice."""

MAX_WAITERS = 256
MAX_WAITERS_OF_ONE = 32


class WaitSlots:
    """Limits the requests of a process that wait for jobs, in all and for each owner. Thread-safe."""

    def __init__(self, *, total: int = MAX_WAITERS, per_owner: int = MAX_WAITERS_OF_ONE) -> None:
        self._total = total
        self._per_owner = per_owner
        self._lock = threading.Lock()
        self._taken = Counter[str]()

    def take(self, owner: str) -> Callable[[], None]:
        """Take a slot for a user, or for an address without authentication, and return what frees it.

        Take one before the job is submitted, so that a rejected job is not stored. Raises TooManyWaiters.
        """
        with self._lock:
            if self._taken.total() >= self._total or self._taken[owner] >= self._per_owner:
                raise TooManyWaiters(
                    f"{self._taken[owner]} requests of {owner} and {self._taken.total()} in all already wait "
                    "for jobs; try again later, or submit without `wait`"
                )
            self._taken[owner] += 1
        released = threading.Event()

        def release() -> None:
            with self._lock:
                if not released.is_set():
                    released.set()
                    self._taken[owner] -= 1

        return release


def ended_jobs(context: ServiceContext, job_ids: Collection[str]) -> set[str]:
    """Return those of the jobs that have ended or were deleted; none while the datastore does not answer."""
    try:
        with context.database.reading() as tx:
            states = jobs.states_by_id(tx, job_ids)
    except DatastoreUnavailable:
        return set()
    return {job_id for job_id in job_ids if job_id not in states or states[job_id].ended}
