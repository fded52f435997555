"""Jobs move on."""

from tork_celery.domain import transitions
from tork_celery.domain.model import Job
from tork_celery.domain.plan import Plan
from tork_celery.services.context import Coordinator
from tork_celery.services.plan_runner import StoredRelatives, move
from tork_celery.store import jobs


def advance(coordinator: Coordinator, task_id: str, delivery: int) -> None:
    """The steps of this delivery of a task have ended: do what follows. A second call finds nothing to do."""

    def decide(job: Job, relatives: StoredRelatives, now: float) -> Plan | None:
        task = relatives.task(task_id)
        if task.delivery != delivery:
            return None
        return transitions.advance(job, task, relatives, now=now, new_id=coordinator.new_id)

    move(coordinator, lambda tx: jobs.lock_of_task(tx, task_id), decide)
