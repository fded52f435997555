"""What users do to jobs: cancel, restart, delete."""

import structlog

from tork_celery.domain import flow, queues
from tork_celery.domain.errors import BrokerUnavailable, Fault, InvalidInput, NotFound, WrongState
from tork_celery.domain.model import Task
from tork_celery.services import view
from tork_celery.services.coordinator import Coordinator, apply, publish
from tork_celery.store import jobs, tasks

log = structlog.get_logger(__name__)


def cancel(coordinator: Coordinator, job_id: str) -> None:
    """End a job and what of it is active. Running steps are told at once; where that message is lost, the
    heartbeat of their node finds out. Raises NotFound, WrongState."""
    with coordinator.database.transaction() as tx:
        job = jobs.lock(tx, job_id)
        if job is None:
            raise NotFound(f"there is no job {job_id!r}")
        active = tasks.active_of_job(tx, job_id)
        apply(tx, flow.cancel(job, active, now=coordinator.database.now(tx)))
    for task in active:
        _stop(coordinator, task)


def cancel_task(coordinator: Coordinator, task_id: str) -> None:
    """Cancel a task, and with it its job. Raises NotFound, WrongState."""
    with coordinator.database.reading() as tx:
        task = tasks.get(tx, task_id)
    if task is None:
        raise NotFound(f"there is no task {task_id!r}")
    cancel(coordinator, task.job_id)


def restart(coordinator: Coordinator, job_id: str) -> None:
    """Let a failed or cancelled job go on from the task that it stopped at. Raises NotFound, WrongState."""
    with coordinator.database.transaction() as tx:
        job = jobs.lock(tx, job_id)
        if job is None:
            raise NotFound(f"there is no job {job_id!r}")
        now = coordinator.database.now(tx)
        plan = flow.restart(job, now=now, new_id=coordinator.new_id)
        apply(tx, plan)
    publish(coordinator, plan.send, now=now)


def delete(coordinator: Coordinator, job_id: str) -> None:
    """Remove an ended job with its tasks and logs. Raises NotFound, WrongState."""
    with coordinator.database.transaction() as tx:
        job = jobs.lock(tx, job_id)
        if job is None:
            raise NotFound(f"there is no job {job_id!r}")
        if not job.state.ended:
            raise WrongState(f"the job is {job.state}; only one that has ended can be deleted")
        jobs.remove(tx, job_id)


def empty_queue(coordinator: Coordinator, name: str) -> None:
    """Remove the messages of a queue. Its tasks stay: the sweep sends those that wait again. Raises NotFound,
    InvalidInput, BrokerUnavailable."""
    view.queue(coordinator, name)
    try:
        queues.check(name)
    except ValueError as error:
        raise InvalidInput(Fault(path="name", message=str(error))) from None
    coordinator.dispatcher.purge(name)


def _stop(coordinator: Coordinator, task: Task) -> None:
    if task.node is None:
        return
    try:
        coordinator.dispatcher.stop(task)
    except BrokerUnavailable as error:
        log.warning("task.cancel_not_sent", task_id=task.id, reason=str(error))
