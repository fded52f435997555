"""What users do to jobs: cancel, restart, delete."""

from tork_celery.domain import queue_names, transitions
from tork_celery.domain.errors import Fault, InvalidInput, NotFound, WrongState
from tork_celery.domain.model import Job
from tork_celery.domain.plan import Plan
from tork_celery.services import plan_runner, queries
from tork_celery.services.context import Coordinator
from tork_celery.store import jobs, tasks


def cancel(coordinator: Coordinator, job_id: str) -> None:
    """End a job and what of it is active, its subjobs too, and the job that waits for it. Running steps are
    told at once; where that message is lost, the heartbeat of their node finds out. Raises NotFound,
    WrongState."""
    if plan_runner.cancel(coordinator, job_id) is None:
        raise NotFound(f"there is no job {job_id!r}")


def cancel_task(coordinator: Coordinator, task_id: str) -> None:
    """Cancel a task, and with it its job. Raises NotFound, WrongState."""
    with coordinator.database.reading() as tx:
        task = tasks.get(tx, task_id)
    if task is None:
        raise NotFound(f"there is no task {task_id!r}")
    cancel(coordinator, task.job_id)


def restart(coordinator: Coordinator, job_id: str) -> None:
    """Let a failed or cancelled job go on from the top-level task that it stopped at; a subjob that another
    job waited for, as a part of that job. Raises NotFound, WrongState."""

    def decide(job: Job, _: plan_runner.StoredRelatives, now: float) -> Plan:
        return transitions.restart(job, now=now, new_id=coordinator.new_id)

    outermost = _outermost(coordinator, job_id)
    if plan_runner.move(coordinator, lambda tx: jobs.lock(tx, outermost), decide) is None:
        raise NotFound(f"there is no job {job_id!r}")


def delete(coordinator: Coordinator, job_id: str) -> None:
    """Remove an ended job with its tasks and logs. Raises NotFound, WrongState."""
    with coordinator.database.transaction() as tx:
        job = jobs.lock(tx, job_id)
        if job is None:
            raise NotFound(f"there is no job {job_id!r}")
        if not job.state.ended:
            raise WrongState(f"the job is {job.state}; only one that has ended can be deleted")
        if jobs.is_related(tx, job_id):
            raise WrongState("a job that waits for it, or one that it began, is still active")
        jobs.remove(tx, job_id)


def empty_queue(coordinator: Coordinator, name: str) -> None:
    """Remove the messages of a queue. Its tasks stay: the sweep sends those that wait again. Raises NotFound,
    InvalidInput, BrokerUnavailable."""
    queries.queue(coordinator, name)
    try:
        queue_names.check(name)
    except ValueError as error:
        raise InvalidInput(Fault(path="name", message=str(error))) from None
    coordinator.dispatcher.purge(name)


def _outermost(coordinator: Coordinator, job_id: str) -> str:
    """The job that waits for this one, or for one that waits for it, and so on."""
    with coordinator.database.reading() as tx:
        while (waiting := jobs.waiting_for(tx, job_id)) is not None:
            job_id = waiting
    return job_id
