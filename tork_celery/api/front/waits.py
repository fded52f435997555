"""Long polls: requests that wait on the event loop until a job has ended.

A view that submits a job with `wait` leaves a `JobWait` in its WSGI environment, under `WAIT_KEY`. The front
then holds the request without a thread. One query at a time reads the states of all awaited jobs.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

WAIT_KEY = "tork.wait"
_MIN_PAUSE_S = 0.02
_MAX_PAUSE_S = 0.3
_PAUSE_FACTOR = 1.3

EndedJobs = Callable[[Collection[str]], set[str]]
"""Return those of the jobs, by id, that have ended or were deleted. Waits out an outage: returns none."""


@dataclass(slots=True)
class JobWait:
    """A request's wait for a job, for at most `timeout_s`. `release` frees its slot.

    `replayed` says that an earlier request with the same Idempotency-Key submitted the job.
    """

    job_id: str
    timeout_s: float
    release: Callable[[], None]
    replayed: bool = False


@dataclass(slots=True)
class _Waiter:
    job_id: str
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class JobPoller:
    """Tells requests when their jobs have ended. Polls only while somebody waits. Runs on one event loop."""

    def __init__(self, ended_jobs: EndedJobs) -> None:
        self._ended_jobs = ended_jobs
        self._waiters: list[_Waiter] = []
        self._task: asyncio.Task[None] | None = None
        self._pause_s = _MIN_PAUSE_S

    async def wait(self, job_id: str, *, timeout_s: float) -> bool:
        """Return whether the job has ended within the time."""
        waiter = _Waiter(job_id)
        self._waiters.append(waiter)
        self._pause_s = _MIN_PAUSE_S  # it may be a short job
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._poll())
        try:
            async with asyncio.timeout(timeout_s):
                await waiter.ended.wait()
        except TimeoutError:
            return False
        finally:
            self._waiters.remove(waiter)
        return True

    async def _poll(self) -> None:
        while self._waiters:
            await asyncio.sleep(self._pause_s)
            self._pause_s = min(_MAX_PAUSE_S, self._pause_s * _PAUSE_FACTOR)
            job_ids = {each.job_id for each in self._waiters}
            ended = await asyncio.to_thread(self._ended_jobs, job_ids)
            for waiter in self._waiters:
                if waiter.job_id in ended:
                    waiter.ended.set()
