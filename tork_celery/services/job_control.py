"""Job control: cancel, restart and delete jobs for users, and change the priority of what waits."""

from dataclasses import replace

import structlog
from sqlalchemy import Connection

from tork_celery.domain import run_again, transitions
from tork_celery.domain.audit import Action, Actor
from tork_celery.domain.errors import InvalidInput, NotFound, WrongState
from tork_celery.domain.model import Job
from tork_celery.domain.plan import Plan
from tork_celery.domain.run_again import RestartFrom, RunAgain
from tork_celery.services import job_slots, plan_runner
from tork_celery.services.context import ServiceContext
from tork_celery.services.plan_runner import StoredTaskReader
from tork_celery.store import audit, jobs, publishing_window, retention, task_priorities, tasks

log = structlog.get_logger(__name__)


def cancel(context: ServiceContext, job_id: str, *, actor: Actor | None = None) -> None:
    """Cancel a job, its active tasks and subjobs, and its parent job.

    Running steps are killed at once; when that message is lost, at the next heartbeat of their node. Raises
    NotFound, WrongState.
    """

    def decide(job: Job, task_reader: StoredTaskReader, now: float) -> Plan:
        return transitions.cancel(job, task_reader, now=now, random=context.random)

    _run(context, job_id, decide, actor, Action.CANCEL_JOB)


def cancel_task(context: ServiceContext, task_id: str, *, actor: Actor | None = None) -> None:
    """Cancel the job of a task. Raises NotFound, WrongState."""
    with context.database.reading() as tx:
        task = tasks.get(tx, task_id)
    if task is None:
        raise NotFound(f"no task with the id {task_id!r}")
    cancel(context, task.job_id, actor=actor)


def cancel_subjob(context: ServiceContext, job_id: str) -> None:
    """Cancel a subjob whose parent task was cancelled or stopped. Does nothing if the subjob has ended or was
    deleted."""
    try:
        cancel(context, job_id)
    except (NotFound, WrongState) as error:
        log.debug("subjob.not_cancelled", job_id=job_id, reason=str(error))


def time_out(context: ServiceContext, job_id: str) -> None:
    """Fail a job whose timeout has passed, and stop its tasks. Does nothing before that time."""

    def decide(job: Job, task_reader: StoredTaskReader, now: float) -> Plan | None:
        return transitions.time_out(job, task_reader, now=now, random=context.random)

    plan_runner.run(context, lambda tx: jobs.get(tx, job_id), decide)


def set_priority(context: ServiceContext, job_id: str, priority: int, *, actor: Actor | None = None) -> None:
    """Give the waiting tasks of a job a priority, and those that follow and have none of their own.

    Raises NotFound, and WrongState for a job that has ended.
    """
    with context.database.transaction() as tx:
        job = jobs.lock(tx, job_id)
        if job is None:
            raise _no_job(job_id)
        if job.state.ended:
            raise WrongState(f"the job is {job.state}; only one that has not ended has waiting tasks")
        jobs.save(tx, replace(job, priority=priority))
        queues = task_priorities.set_of_job(tx, job_id, priority)
        audit.record(tx, actor, Action.SET_PRIORITY, job_id, detail=str(priority))
        sent = publishing_window.mark_next_sent(tx, queues, lease_s=context.lease_s)
    context.publisher().send(sent)


def set_task_priority(
    context: ServiceContext, task_id: str, priority: int, *, actor: Actor | None = None
) -> None:
    """Give a waiting task a priority. Raises NotFound, and WrongState for a task that has begun."""
    with context.database.transaction() as tx:
        latest_id = tasks.latest_attempt_id(tx, task_id)
        if latest_id is None:
            raise NotFound(f"no task with the id {task_id!r}")
        jobs.lock_row_by_task(tx, latest_id)
        queues = task_priorities.set_of_task(tx, latest_id, priority)
        if not queues:
            raise WrongState("the task has begun or ended; only one that waits has a priority to change")
        audit.record(tx, actor, Action.SET_PRIORITY, task_id, detail=str(priority))
        sent = publishing_window.mark_next_sent(tx, queues, lease_s=context.lease_s)
    context.publisher().send(sent)


def restart(
    context: ServiceContext,
    job_id: str,
    *,
    from_task: str | None = None,
    only: bool = False,
    actor: Actor | None = None,
) -> None:
    """Run what is not done in an ended job again, with all that needs it.

    `from_task`, the id of an attempt, a var or a name, runs again too; with `only` nothing else does. A
    subjob is restarted with its outermost parent job, and takes no `from_task`. Raises NotFound, WrongState,
    InvalidInput, and Conflict if the concurrency key of the job has no free slot.
    """

    def decide(job: Job, task_reader: StoredTaskReader, now: float) -> Plan:
        _check_not_stopping(task_reader.tx, job.id)
        start = _restart_from(task_reader.tx, job_id, from_task, only=only)
        return transitions.restart(job, task_reader, now=now, random=context.random, start=start)

    _run(
        context,
        _outermost_job_id(context, job_id),
        decide,
        actor,
        Action.RESTART_JOB,
        check=job_slots.require_slot,
    )


def restart_plan(
    context: ServiceContext, job_id: str, *, from_task: str | None = None, only: bool = False
) -> tuple[Job, RunAgain]:
    """Return what `restart` would run again, and the job. Raises NotFound, WrongState, InvalidInput."""
    outermost_id = _outermost_job_id(context, job_id)
    with context.database.reading() as tx:
        job = jobs.get(tx, outermost_id)
        if job is None:
            raise _no_job(job_id)
        start = _restart_from(tx, job_id, from_task, only=only)
        return job, run_again.restart(job, tasks.current_run(tx, job.id), start)


def _restart_from(tx: Connection, job_id: str, from_task: str | None, *, only: bool) -> RestartFrom | None:
    if not from_task:
        if only:
            raise InvalidInput("only: needs `from`, the task to run again")
        return None
    if (parent_id := jobs.parent_job_id(tx, job_id)) is not None:
        raise InvalidInput(f"from: the job is a subjob; restart its parent job, {parent_id}")
    return RestartFrom(name=from_task, only=only, attempt=tasks.get(tx, from_task))


def delete(context: ServiceContext, job_id: str, *, actor: Actor | None = None) -> None:
    """Delete an ended job with its tasks and logs. Raises NotFound, WrongState.

    Housekeeping deletes what is left of a large job, which nobody sees any longer.
    """
    with context.database.transaction() as tx:
        job = jobs.lock(tx, job_id)
        if job is None:
            raise _no_job(job_id)
        if not job.state.ended:
            raise WrongState(f"the job is {job.state}; only one that has ended can be deleted")
        if jobs.has_active_relatives(tx, job_id):
            raise WrongState("the job's parent job or one of its subjobs is still active")
        _check_not_stopping(tx, job_id)
        retention.remove(tx, [job_id])
        audit.record(tx, actor, Action.DELETE_JOB, job_id)


def _run(
    context: ServiceContext,
    job_id: str,
    decide: plan_runner.Decide,
    actor: Actor | None,
    action: Action,
    *,
    check: plan_runner.Record = lambda _tx, _job: None,
) -> None:
    def record(tx: Connection, job: Job) -> None:
        check(tx, job)
        audit.record(tx, actor, action, job.id)

    if plan_runner.run(context, lambda tx: jobs.get(tx, job_id), decide, record) is None:
        raise _no_job(job_id)


def _check_not_stopping(tx: Connection, job_id: str) -> None:
    if jobs.stopping(tx, job_id):
        raise WrongState("the tasks of the job are still being stopped; try again in a moment")


def _outermost_job_id(context: ServiceContext, job_id: str) -> str:
    with context.database.reading() as tx:
        while (parent_job_id := jobs.parent_job_id(tx, job_id)) is not None:
            job_id = parent_job_id
    return job_id


def _no_job(job_id: str) -> NotFound:
    return NotFound(f"no job with the id {job_id!r}")
