"""Jobs move on."""

from tork_celery.domain import flow
from tork_celery.services.coordinator import Coordinator, apply, publish
from tork_celery.store import jobs, tasks


def advance(coordinator: Coordinator, task_id: str, delivery: int) -> None:
    """The steps of this delivery of a task have ended: do what follows. A second call finds nothing to do."""
    with coordinator.database.transaction() as tx:
        job = jobs.lock_of_task(tx, task_id)
        task = tasks.get(tx, task_id)
        if job is None or task is None or task.delivery != delivery:
            return
        now = coordinator.database.now(tx)
        plan = flow.advance(job, task, now=now, new_id=coordinator.new_id)
        if plan is None:
            return
        apply(tx, plan)
    publish(coordinator, plan.send, now=now)
