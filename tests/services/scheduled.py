"""Scheduled jobs for tests."""

from typing import Any

from sqlalchemy import update

from tests.domain.samples import job_definition
from tests.store.stores import FlakyDatabase, seconds_now
from tork_celery.domain.definition import JobDefinition, Schedule
from tork_celery.domain.model import Job
from tork_celery.domain.scheduled_job import ScheduledJob
from tork_celery.store import job_pages, jobs
from tork_celery.store.tables import scheduled_jobs

YEARLY = "0 0 1 1 *"


def definition(
    cron: str = YEARLY, /, *, schedule: dict[str, str] | None = None, **values: Any
) -> JobDefinition:
    return job_definition(schedule=Schedule(cron=cron, **(schedule or {})), **values)


def make_due(database: FlakyDatabase, scheduled: ScheduledJob, *, ago_s: float = 1.0) -> None:
    """Set the time of the next firing to `ago_s` ago."""
    next_at = float(int(seconds_now(database) - ago_s))
    with database.transaction() as tx:
        tx.execute(update(scheduled_jobs).where(scheduled_jobs.c.id == scheduled.id).values(next_at=next_at))


def created_jobs(database: FlakyDatabase) -> list[Job]:
    with database.reading() as tx:
        listed, _ = job_pages.page(tx, number=1, size=100)
        return [job for each in listed if (job := jobs.get(tx, each.id))]
