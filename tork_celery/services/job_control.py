"""What users do to jobs: cancel, restart, delete."""

import structlog

from tork_celery.domain import queue_names, transitions
from tork_celery.domain.errors import Fault, InvalidInput, NotFound, WrongState
from tork_celery.domain.model import Job
from tork_celery.domain.plan import Plan
from tork_celery.services import plan_runner, queries
from tork_celery.services.context import ServiceContext
from tork_celery.store import jobs, tasks

log = structlog.get_logger(__name__)


def cancel(context: ServiceContext, job_id: str) -> None:
    """Cancel a job with its active tasks, its subjobs, and the job that waits for it.

    The nodes of running steps are told at once; a message that is lost costs one heartbeat. Raises NotFound,
    WrongState.
    """

    def decide(job: Job, task_reader: plan_runner.StoredTaskReader, now: float) -> Plan:
        return transitions.cancel(job, task_reader, now=now, random=context.random)

    if plan_runner.run(context, lambda tx: jobs.lock(tx, job_id), decide) is None:
        raise NotFound(f"there is no job {job_id!r}")


def cancel_subjob(context: ServiceContext, job_id: str) -> None:
    """Cancel a job whose parent task has stopped, unless it has ended or was removed."""
    try:
        cancel(context, job_id)
    except (NotFound, WrongState) as error:
        log.debug("subjob.not_cancelled", job_id=job_id, reason=str(error))


def cancel_task(context: ServiceContext, task_id: str) -> None:
    """Cancel a task, and with it its job. Raises NotFound, WrongState."""
    with context.database.reading() as tx:
        task = tasks.get(tx, task_id)
    if task is None:
        raise NotFound(f"there is no task {task_id!r}")
    cancel(context, task.job_id)


def restart(context: ServiceContext, job_id: str) -> None:
    """Let a failed or cancelled job go on from the top-level task that it stopped at; a subjob that another
    job waited for, as a part of that job. Raises NotFound, WrongState."""

    def decide(job: Job, _: plan_runner.StoredTaskReader, now: float) -> Plan:
        return transitions.restart(job, now=now, random=context.random)

    outermost = _outermost(context, job_id)
    if plan_runner.run(context, lambda tx: jobs.lock(tx, outermost), decide) is None:
        raise NotFound(f"there is no job {job_id!r}")


def delete(context: ServiceContext, job_id: str) -> None:
    """Remove an ended job with its tasks and logs. Raises NotFound, WrongState."""
    with context.database.transaction() as tx:
        job = jobs.lock(tx, job_id)
        if job is None:
            raise NotFound(f"there is no job {job_id!r}")
        if not job.state.ended:
            raise WrongState(f"the job is {job.state}; only one that has ended can be deleted")
        if jobs.is_related(tx, job_id):
            raise WrongState("a job that waits for it, or one that it began, is still active")
        jobs.remove(tx, job_id)


def empty_queue(context: ServiceContext, name: str) -> None:
    """Remove the messages of a queue. Its tasks stay: the sweep sends those that wait again. Raises NotFound,
    InvalidInput, BrokerUnavailable."""
    queries.queue(context, name)
    try:
        queue_names.check(name)
    except ValueError as error:
        raise InvalidInput(Fault(path="name", message=str(error))) from None
    context.dispatcher.purge(name)


def _outermost(context: ServiceContext, job_id: str) -> str:
    """The job that waits for this one, or for one that waits for it, and so on."""
    with context.database.reading() as tx:
        while (waiting := jobs.waiting_for(tx, job_id)) is not None:
            job_id = waiting
    return job_id
