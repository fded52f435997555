"""Fire scheduled jobs that are due: submit their jobs, each once, however many processes do this."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Connection

from tork_celery import webhook_outbox
from tork_celery.domain import scheduled_job
from tork_celery.domain.audit import Action, Actor
from tork_celery.domain.errors import Conflict, DatastoreFull, SecretsUnreadable, Unavailable
from tork_celery.domain.model import Job
from tork_celery.domain.plan import Plan
from tork_celery.domain.scheduled_job import Downtime, DueFiring, ScheduledJob
from tork_celery.domain.webhooks import WebhookCall
from tork_celery.publisher import Publisher
from tork_celery.services import job_slots, plan_runner, schedule_overlap
from tork_celery.services.context import ServiceContext
from tork_celery.services.schedules import require
from tork_celery.store import audit, jobs, schedule_checks, scheduled_jobs

log = structlog.get_logger(__name__)

_BATCH = 10  # firings of one transaction, which holds the write lock of SQLite meanwhile
_RETRY_S = 60.0
_MAX_DUE = 200  # a batch is taken from this many due firings, so that processes rarely take the same ones


@dataclass(frozen=True, slots=True, kw_only=True)
class _Firing:
    """A due firing and what it leads to. `plan` is that of its job; None if it creates none.

    `scheduled` is None if it cannot be read.
    """

    schedule_id: str
    due_at: float
    leads_to: DueFiring
    scheduled: ScheduledJob | None = None
    plan: Plan | None = None
    calls: Sequence[WebhookCall] = ()


def fire_due(context: ServiceContext, *, stopping: Callable[[], bool] = lambda: False) -> None:
    """Submit the jobs of all firings that are due now, until `stopping` returns True, and start the jobs
    that wait for earlier ones of their schedule.

    Only firings that came due while no coordinator ran are skipped, unless `catchUp` makes them up. None
    fires while the disk of the datastore is full. Raises DatastoreUnavailable.
    """
    publisher = context.publisher()  # one for all firings: it waits for an absent broker once
    with context.database.reading() as tx:
        now = context.database.now(tx)
    while not stopping() and _fire_batch(context, publisher, due_at=now):
        pass
    schedule_overlap.start_ready(context)


def fire_now(context: ServiceContext, id_: str, *, actor: Actor | None = None) -> Job:
    """Submit a job of a schedule now, also while it is paused, and return it.

    If a job of the schedule waits already, it is returned instead. Raises NotFound, and Conflict if the
    `overlap` of the schedule allows no job now.
    """
    context.database.require_room()
    with context.database.reading() as tx:
        scheduled = require(scheduled_jobs.get(tx, id_), id_)
        plan = schedule_overlap.plan(context, scheduled, now=context.database.now(tx))
        calls = webhook_outbox.calls_of_plan(tx, plan)
    schedule_overlap.cancel_earlier(context, scheduled)
    with context.database.transaction() as tx:
        require(scheduled_jobs.lock(tx, id_), id_)
        if blocking := schedule_overlap.blocking_jobs(tx, scheduled):
            return _waiting_job(tx, scheduled, blocking)
        plan = job_slots.admitted(tx, plan)
        plan_runner.store_new_jobs(tx, [plan], calls)
        audit.record(tx, actor, Action.RUN_SCHEDULE, id_)
        sent = plan_runner.mark_sent(context, tx, [plan])
    plan_runner.follow_up(context, plan_runner.StoredPlan(plan=plan, sent=sent))
    schedule_overlap.start_ready(context)
    with context.database.reading() as tx:
        return jobs.get(tx, plan.job.id) or plan.job


def _waiting_job(tx: Connection, scheduled: ScheduledJob, blocking: tuple[str, ...]) -> Job:
    job = jobs.get(tx, blocking[0])
    if job is None or scheduled.schedule.overlap == "skip":
        raise Conflict("a job of this schedule has not ended, and its `overlap` is skip", jobs=blocking)
    return job


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
        fired = [stored for firing in firings if (stored := _store(context, tx, firing))]
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
    later = DueFiring(makes_job=False, next_at=now + _RETRY_S)
    firing = _Firing(schedule_id=schedule_id, due_at=due_at, leads_to=later)
    try:
        with context.database.reading() as tx:
            if scheduled := scheduled_jobs.get(tx, schedule_id):
                leads_to = scheduled_job.due_firing(scheduled, due_at=due_at, downtime=downtime, now=now)
                firing = replace(firing, scheduled=scheduled, leads_to=leads_to)
                if leads_to.makes_job:
                    plan = schedule_overlap.plan(context, scheduled, now=now)
                    firing = replace(firing, plan=plan, calls=webhook_outbox.calls_of_plan(tx, plan))
        if firing.plan is not None and firing.scheduled is not None:
            schedule_overlap.cancel_earlier(context, firing.scheduled)
    except Exception as error:
        if isinstance(error, Unavailable) and not isinstance(error, SecretsUnreadable):
            raise
        log.exception("schedule.broken", schedule_id=schedule_id)
    return firing


def _store(context: ServiceContext, tx: Connection, firing: _Firing) -> _Firing | None:
    """Claim a firing and store its job, unless an earlier job keeps it from being made.

    Return the firing as it was made; None if another process has claimed it, or storing fails.
    """
    leads_to = firing.leads_to
    if not scheduled_jobs.claim_firing(
        tx, firing.schedule_id, due_at=firing.due_at, next_at=leads_to.next_at, caught_up=leads_to.caught_up
    ):
        return None
    try:
        with context.database.savepoint(tx):
            if firing.plan is None or firing.scheduled is None:
                return firing
            if blocking := schedule_overlap.blocking_jobs(tx, firing.scheduled):
                log.info("schedule.skipped", schedule_id=firing.schedule_id, jobs=blocking)
                return replace(firing, plan=None)
            firing = replace(firing, plan=job_slots.admitted(tx, firing.plan))
            plan_runner.store_new_jobs(tx, [firing.plan] if firing.plan else [], firing.calls)
    except Unavailable:
        raise
    except Conflict as conflict:
        log.info("schedule.skipped", schedule_id=firing.schedule_id, jobs=conflict.jobs)
        return replace(firing, plan=None)
    except Exception:
        log.exception("schedule.broken", schedule_id=firing.schedule_id)
        return None
    return firing


def _report(context: ServiceContext, firing: _Firing, publisher: Publisher) -> None:
    if firing.leads_to.skipped:
        next_at = firing.leads_to.next_at
        log.warning("schedule.missed", schedule_id=firing.schedule_id, due_at=firing.due_at, next_at=next_at)
    if firing.plan is not None:
        log.info("schedule.fired", schedule_id=firing.schedule_id, job_id=firing.plan.job.id)
        plan_runner.follow_up(context, plan_runner.StoredPlan(plan=firing.plan), publisher)
