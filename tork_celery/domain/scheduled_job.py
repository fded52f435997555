"""Scheduled jobs, which create jobs at the times of a cron expression."""

from bisect import bisect_left
from dataclasses import dataclass, replace
from enum import StrEnum

from tork_celery.domain import cron, durations
from tork_celery.domain.definition import JobDefinition, Schedule
from tork_celery.domain.errors import WrongState
from tork_celery.domain.masking import conceal

MAX_LATENESS_S = 30.0
"""A firing is missed if it came due while no coordinator ran, longer than this before one ran again."""
MOST_CAUGHT_UP = 100
"""Missed firings of one downtime that `catchUp: all` makes up at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Downtime:
    """The latest time in which no coordinator looked for due schedules, in seconds since the epoch."""

    start: float
    end: float

    @property
    def missed_until(self) -> float:
        """End of the time whose firings are missed."""
        return self.end - MAX_LATENESS_S

    def misses(self, fires_at: float) -> bool:
        """Return whether a firing is missed. A firing that was due outside the downtime never is, however
        late it is."""
        return self.start < fires_at < self.missed_until


class ScheduleState(StrEnum):
    """Whether a scheduled job creates jobs."""

    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledJob:
    """A scheduled job.

    - `definition`: of the jobs that it creates; it has a `schedule`.
    - `next_at`: time of the next firing in seconds since the epoch; None while it is paused.
    - `caught_up`: number of firings of the latest downtime that were made up, while more may follow.
    """

    id: str
    definition: JobDefinition
    state: ScheduleState
    created_at: float
    created_by: str | None = None
    next_at: float | None = None
    caught_up: int = 0

    @property
    def schedule(self) -> Schedule:
        return self.definition.schedule or Schedule(cron="")

    @property
    def cron(self) -> str:
        return self.schedule.cron

    @property
    def job_definition(self) -> JobDefinition:
        """Definition of the jobs that it creates. No client waits for their end."""
        return replace(self.definition, schedule=replace(self.schedule, id=self.id), wait=None)

    def next_time(self, *, after: float, anchor: float | None = None) -> float | None:
        """Return the first firing later than `after`; `@every` counts from the firing `anchor`."""
        return cron.next_time(self.cron, after=after, anchor=anchor, timezone=self.schedule.timezone)


@dataclass(frozen=True, slots=True, kw_only=True)
class DueFiring:
    """What a due firing leads to.

    - `makes_job`: whether it creates a job.
    - `next_at`: time of the firing to look at next.
    - `skipped`: whether missed firings before `next_at` create no job.
    - `caught_up`: of the scheduled job, from now on.
    """

    makes_job: bool
    next_at: float | None
    skipped: bool = False
    caught_up: int = 0


def new(definition: JobDefinition, *, now: float, id_: str, created_by: str | None = None) -> ScheduledJob:
    paused = ScheduledJob(
        id=id_,
        definition=conceal(definition),
        state=ScheduleState.PAUSED,
        created_at=now,
        created_by=created_by,
    )
    return resume(paused, now=now)


def pause(scheduled: ScheduledJob) -> ScheduledJob:
    """Stop the firings. Raises WrongState unless it is ACTIVE."""
    if scheduled.state is not ScheduleState.ACTIVE:
        raise WrongState(f"the scheduled job is {scheduled.state}; only one that is ACTIVE can be paused")
    return replace(scheduled, state=ScheduleState.PAUSED, next_at=None)


def resume(scheduled: ScheduledJob, *, now: float) -> ScheduledJob:
    """Continue the firings after `now`; missed ones are skipped. Raises WrongState unless it is PAUSED."""
    if scheduled.state is not ScheduleState.PAUSED:
        raise WrongState(f"the scheduled job is {scheduled.state}; only one that is PAUSED can be resumed")
    return replace(scheduled, state=ScheduleState.ACTIVE, next_at=scheduled.next_time(after=now))


def due_firing(scheduled: ScheduledJob, *, due_at: float, downtime: Downtime, now: float) -> DueFiring:
    """Decide on the firing that is due at `due_at`, by `catchUp` if the downtime missed it."""
    catch_up = scheduled.schedule.catch_up
    if not downtime.misses(due_at):
        next_at = scheduled.next_time(after=due_at)
        passes = next_at is not None and downtime.misses(next_at) and catch_up in (None, "none")
        return DueFiring(makes_job=True, next_at=_after(scheduled, due_at, downtime) if passes else next_at)
    if catch_up == "all":
        return _catch_up_all(scheduled, due_at, downtime, oldest=_oldest(scheduled, now))
    latest = _latest_missed(scheduled, due_at, downtime)
    makes_job = catch_up == "last" and latest >= _oldest(scheduled, now)
    next_at = _after(scheduled, due_at, downtime)
    return DueFiring(makes_job=makes_job, next_at=next_at, skipped=not makes_job or latest > due_at)


def _catch_up_all(scheduled: ScheduledJob, due_at: float, downtime: Downtime, *, oldest: float) -> DueFiring:
    """Make up the missed firings one after the other, from the oldest that `within` allows."""
    if due_at < oldest:
        next_at = scheduled.next_time(after=min(oldest, downtime.missed_until), anchor=due_at)
        return DueFiring(makes_job=False, next_at=next_at, skipped=True, caught_up=scheduled.caught_up)
    if scheduled.caught_up >= MOST_CAUGHT_UP:
        return DueFiring(makes_job=False, next_at=_after(scheduled, due_at, downtime), skipped=True)
    next_at = scheduled.next_time(after=due_at)
    more = next_at is not None and downtime.misses(next_at)
    return DueFiring(makes_job=True, next_at=next_at, caught_up=scheduled.caught_up + 1 if more else 0)


def _oldest(scheduled: ScheduledJob, now: float) -> float:
    """Return the time before which missed firings are not made up."""
    within = scheduled.schedule.within
    return now - durations.seconds(within) if within else 0.0


def _after(scheduled: ScheduledJob, due_at: float, downtime: Downtime) -> float | None:
    """Return the first firing that the downtime does not miss."""
    return scheduled.next_time(after=downtime.missed_until, anchor=due_at)


def _latest_missed(scheduled: ScheduledJob, due_at: float, downtime: Downtime) -> float:
    """Return the last firing from `due_at` on that the downtime misses, by binary search."""
    end = downtime.missed_until

    def is_latest(time: int) -> bool:
        next_at = scheduled.next_time(after=time, anchor=due_at)
        return next_at is None or next_at >= end

    times = range(int(due_at), int(end) + 1)
    return times[bisect_left(times, True, key=is_latest)]
