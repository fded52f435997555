"""What a schedule does with a new job while earlier jobs of it have not ended: its `overlap`.

A job that is to wait for earlier ones is stored as PENDING. It starts as soon as they have ended.
"""

import structlog
from sqlalchemy import Connection

from tork_celery.domain import transitions
from tork_celery.domain.errors import NotFound, WrongState
from tork_celery.domain.model import Job
from tork_celery.domain.plan import Plan
from tork_celery.domain.scheduled_job import ScheduledJob
from tork_celery.domain.states import JobState
from tork_celery.services import job_control, plan_runner
from tork_celery.services.context import ServiceContext
from tork_celery.services.plan_runner import StoredTaskReader
from tork_celery.store import jobs, schedule_overlap

log = structlog.get_logger(__name__)

_BATCH = 100


def plan(context: ServiceContext, scheduled: ScheduledJob, *, now: float) -> Plan:
    """Return the plan for a new job of a schedule, which waits if `overlap` is `queue` or `replace`."""
    waits = scheduled.schedule.overlap in ("queue", "replace")
    submit = transitions.submit_waiting if waits else transitions.submit
    return submit(scheduled.job_definition, now=now, random=context.random, created_by=scheduled.created_by)


def blocking_jobs(tx: Connection, scheduled: ScheduledJob) -> tuple[str, ...]:
    """Return the active jobs because of which a schedule makes no new one now.

    These are all its active jobs if `overlap` is `skip`, and the one that waits for an earlier one if it is
    `queue`. Call it while the row of the schedule is locked.
    """
    overlap = scheduled.schedule.overlap
    if overlap not in ("skip", "queue"):
        return ()
    active = schedule_overlap.active_jobs(tx, scheduled.id)
    if overlap == "skip":
        return tuple(active)
    return tuple(id_ for id_ in list(active)[1:] if active[id_] is JobState.PENDING)


def cancel_earlier(context: ServiceContext, scheduled: ScheduledJob) -> None:
    """Cancel the active jobs of a schedule, oldest first, if its `overlap` is `replace`.

    Call it before the new job is stored: a firing that is repeated after a crash cancels them again.
    """
    if scheduled.schedule.overlap != "replace":
        return
    with context.database.reading() as tx:
        active = schedule_overlap.active_jobs(tx, scheduled.id)
    for job_id in active:
        try:
            job_control.cancel(context, job_id)
        except (NotFound, WrongState) as error:
            log.debug("schedule.not_replaced", job_id=job_id, reason=str(error))


def start_ready(context: ServiceContext) -> None:
    """Start the waiting jobs of schedules whose earlier jobs have all ended. Raises DatastoreUnavailable."""
    with context.database.reading() as tx:
        ready = schedule_overlap.ready_jobs(tx, limit=_BATCH)
    for job_id in ready:
        start(context, job_id)


def start(context: ServiceContext, job_id: str) -> None:
    """Start a job that waits. Does nothing if it has started or ended."""

    def decide(job: Job, _: StoredTaskReader, now: float) -> Plan | None:
        return transitions.start(job, now=now, random=context.random)

    plan_runner.run(context, lambda tx: jobs.get(tx, job_id), decide)
