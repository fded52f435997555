"""Jobs that are made again and again."""

from dataclasses import dataclass, replace
from enum import StrEnum

from tork_celery.domain import cron
from tork_celery.domain.definition import JobDefinition, Schedule
from tork_celery.domain.errors import WrongState

LATEST_S = 30.0
"""A firing that nobody was there for is made up for within this time, and not after it."""


class ScheduleState(StrEnum):
    """Whether a scheduled job makes jobs."""

    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledJob:
    """`definition` is that of the jobs that it makes; it has a `schedule`. `next_at` is when it fires next,
    None while it is paused."""

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
    def of_its_jobs(self) -> JobDefinition:
        """The definition of a job that it makes, which names it. Nobody waits for that job."""
        return replace(self.definition, schedule=Schedule(id=self.id, cron=self.cron), wait=None)


def new(definition: JobDefinition, *, now: float, id_: str, created_by: str | None = None) -> ScheduledJob:
    paused = ScheduledJob(
        id=id_,
        definition=definition,
        state=ScheduleState.PAUSED,
        created_at=now,
        created_by=created_by,
    )
    return resume(paused, now=now)


def pause(scheduled: ScheduledJob) -> ScheduledJob:
    """Raises WrongState."""
    if scheduled.state is not ScheduleState.ACTIVE:
        raise WrongState(f"the scheduled job is {scheduled.state}; only one that is ACTIVE can be paused")
    return replace(scheduled, state=ScheduleState.PAUSED, next_at=None)


def resume(scheduled: ScheduledJob, *, now: float) -> ScheduledJob:
    """What it has missed is not made up for. Raises WrongState."""
    if scheduled.state is not ScheduleState.PAUSED:
        raise WrongState(f"the scheduled job is {scheduled.state}; only one that is PAUSED can be resumed")
    return replace(scheduled, state=ScheduleState.ACTIVE, next_at=cron.next_time(scheduled.cron, after=now))


def fires(scheduled: ScheduledJob, *, now: float) -> bool:
    """Whether a job is to be made of it; it may be due, but for too long."""
    return scheduled.next_at is not None and now - LATEST_S <= scheduled.next_at <= now
