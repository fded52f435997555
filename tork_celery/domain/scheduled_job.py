"""Scheduled jobs, which create jobs at the times of a cron expression."""

from dataclasses import dataclass, replace
from enum import StrEnum

from tork_celery.domain import cron
from tork_celery.domain.definition import JobDefinition, Schedule
from tork_celery.domain.errors import WrongState
from tork_celery.domain.masking import conceal

MAX_LATENESS_S = 30.0
"""A firing is skipped if it came due while no coordinator ran, longer than this before one ran again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Downtime:
    """The latest time in which no coordinator looked for due schedules, in seconds since the epoch."""

    start: float
    end: float

    def misses(self, fires_at: float) -> bool:
        """Return whether a firing is skipped. A firing that was due outside the downtime never is, however
        late it is."""
        return self.start < fires_at < self.end - MAX_LATENESS_S


class ScheduleState(StrEnum):
    """Whether a scheduled job creates jobs."""

    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledJob:
    """A scheduled job.

    - `definition`: of the jobs that it creates; it has a `schedule`.
    - `next_at`: time of the next firing in seconds since the epoch; None while it is paused.
    """

    id: str
    definition: JobDefinition
    state: ScheduleState
    created_at: float
    created_by: str | None = None
    next_at: float | None = None

    @property
    def cron(self) -> str:
        schedule = self.definition.schedule
        return schedule.cron if schedule else ""

    @property
    def job_definition(self) -> JobDefinition:
        """Definition of the jobs that it creates. No client waits for their end."""
        return replace(self.definition, schedule=Schedule(id=self.id, cron=self.cron), wait=None)


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
    return replace(scheduled, state=ScheduleState.ACTIVE, next_at=cron.next_time(scheduled.cron, after=now))


def next_firing(scheduled: ScheduledJob, *, due_at: float, downtime: Downtime) -> float | None:
    """Return the time of the firing after the one that is due, without those that the downtime misses."""
    next_at = cron.next_time(scheduled.cron, after=due_at)
    if next_at is None or not downtime.misses(next_at):
        return next_at
    return cron.next_time(scheduled.cron, after=downtime.end - MAX_LATENESS_S, anchor=due_at)
