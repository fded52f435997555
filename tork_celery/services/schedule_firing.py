"""Fire scheduled jobs that are due: submit their jobs, each once, however many processes do this."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Connection

from tork_celery import webhook_outbox
from tork_celery.domain import scheduled_job, transitions
from tork_celery.domain.errors import DatastoreFull, SecretsUnreadable, Unavailable
from tork_celery.domain.plan import Plan
from tork_celery.domain.scheduled_job import Downtime, ScheduledJob
from tork_celery.domain.webhooks import WebhookCall
from tork_celery.publisher import Publisher
from tork_celery.services import plan_runner
from tork_celery.services.context import ServiceContext
from tork_celery.store import schedule_checks, scheduled_jobs

log = structlog.get_logger(__name__)

_BATCH = 10  # firings of one transaction, which holds the write lock of SQLite meanwhile
_RETRY_S = 60.0
_MAX_DUE = 200  # a batch is taken from this many due firings, so that processes rarely take the same ones


@dataclass(frozen=True, slots=True, kw_only=True)
class _Firing:
    """A due firing and the time of the next one. `plan` is that of its job; None if it creates none."""

    schedule_id: str
    due_at: float
    next_at: float | None
    missed: bool = False
    plan: Plan | None = None
    calls: Sequence[WebhookCall] = ()


def fire_due(context: ServiceContext, *, stopping: Callable[[], bool] = lambda: False) -> None:
    """Submit the jobs of all firings that are due now, until `stopping` returns True.

    Only firings that came due while no coordinator ran are skipped. None fires while the disk of the
    datastore is full. Raises DatastoreUnavailable.
    """
    publisher = context.publisher()  # one for all firings: it waits for an absent broker once
    with context.database.reading() as tx:
        now = context.database.now(tx)
    while not stopping() and _fire_batch(context, publisher, due_at=now):
        pass


def _fire_batch(context: ServiceContext, publisher: Publisher, *, due_at: float) -> bool:
    """Submit the jobs of some firings that are due at the time `due_at`. Return False if none can be."""
    downtime = _record_check(context)
    with context.database.reading() as tx:
        now = context.database.now(tx)
        due = scheduled_jobs.due(tx, at=due_at, limit=_MAX_DUE)
    if not due or not _has_room(context):
        return False
    start = context.random.randbelow(max(1, len(due) - _BATCH + 1))
    firings = [
        _prepare(context, id_, at, now=now, downtime=downtime) for id_, at in due[start : start + _BATCH]
    ]
    with context.database.transaction() as tx:
        fired = [firing for firing in firings if _store(context, tx, firing)]
        sent = plan_runner.mark_sent(context, tx, [firing.plan for firing in fired if firing.plan])
    publisher.send(sent)
    for firing in fired:
        _report(context, firing, publisher)
    return True


def _record_check(context: ServiceContext) -> Downtime:
    """Record that this process looks for due firings. Return the latest time in which none did."""
    with context.database.reading() as tx:
        downtime = schedule_checks.recent(tx)
    if downtime is not None:
        return downtime
    with context.database.transaction() as tx:
        return schedule_checks.record(tx)


def _has_room(context: ServiceContext) -> bool:
    try:
        context.database.require_room()
    except DatastoreFull as error:
        log.debug("schedules.postponed", reason=str(error))
        return False
    return True


def _prepare(
    context: ServiceContext, schedule_id: str, due_at: float, *, now: float, downtime: Downtime
) -> _Firing:
    """Decide on a firing. Takes no lock, because expressions are evaluated.

    If the plan fails, the firing creates no job. A scheduled job that cannot be read is tried again later.
    """
    firing = _Firing(schedule_id=schedule_id, due_at=due_at, next_at=now + _RETRY_S)
    try:
        with context.database.reading() as tx:
            if scheduled := scheduled_jobs.get(tx, schedule_id):
                next_at = scheduled_job.next_firing(scheduled, due_at=due_at, downtime=downtime)
                firing = replace(firing, next_at=next_at, missed=downtime.misses(due_at))
                if not firing.missed:
                    plan = _plan(context, scheduled, now=now)
                    firing = replace(firing, plan=plan, calls=webhook_outbox.calls_of_plan(tx, plan))
    except Exception as error:
        if isinstance(error, Unavailable) and not isinstance(error, SecretsUnreadable):
            raise
        log.exception("schedule.broken", schedule_id=schedule_id)
    return firing


def _plan(context: ServiceContext, scheduled: ScheduledJob, *, now: float) -> Plan:
    return transitions.submit(
        scheduled.job_definition, now=now, random=context.random, created_by=scheduled.created_by
    )


def _store(context: ServiceContext, tx: Connection, firing: _Firing) -> bool:
    """Claim a firing and store its job. Return False if another process has claimed it, or storing fails."""
    if not scheduled_jobs.claim_firing(tx, firing.schedule_id, due_at=firing.due_at, next_at=firing.next_at):
        return False
    try:
        with context.database.savepoint(tx):
            if firing.plan is not None:
                plan_runner.store_new_jobs(tx, [firing.plan], firing.calls)
    except Unavailable:
        raise
    except Exception:
        log.exception("schedule.broken", schedule_id=firing.schedule_id)
        return False
    return True


def _report(context: ServiceContext, firing: _Firing, publisher: Publisher) -> None:
    if firing.missed:
        log.warning("schedule.missed", schedule_id=firing.schedule_id, due_at=firing.due_at)
    if firing.plan is not None:
        log.info("schedule.fired", schedule_id=firing.schedule_id, job_id=firing.plan.job.id)
        plan_runner.follow_up(context, plan_runner.StoredPlan(plan=firing.plan), publisher)
