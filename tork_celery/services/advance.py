"""Advance jobs: to what follows an ended task, and to the next children of a composite."""

from tork_celery.domain import transitions
from tork_celery.domain.model import Job
from tork_celery.domain.plan import Plan
from tork_celery.services.context import ServiceContext
from tork_celery.services.plan_runner import StoredTaskReader, run
from tork_celery.store import jobs


def advance(context: ServiceContext, task_id: str, delivery: int) -> None:
    """Advance a job after this delivery of a task has an outcome. A second call does nothing."""

    def decide(job: Job, task_reader: StoredTaskReader, now: float) -> Plan | None:
        task = task_reader.task(task_id)
        if task.delivery != delivery:
            return None
        return transitions.advance(job, task, task_reader, now=now, random=context.random)

    run(context, lambda tx: jobs.get_by_task(tx, task_id), decide)


def start_children(context: ServiceContext, parent_id: str) -> None:
    """Start children of a composite, or tasks of a job, as many as its concurrency and the size of one
    transaction allow."""

    def decide(job: Job, task_reader: StoredTaskReader, now: float) -> Plan | None:
        if job.id == parent_id:
            return transitions.start_tasks(job, task_reader, now=now, random=context.random)
        parent = task_reader.task(parent_id)
        return transitions.start_children(job, parent, task_reader, now=now, random=context.random)

    run(context, lambda tx: jobs.get_by_task(tx, parent_id) or jobs.get(tx, parent_id), decide)
