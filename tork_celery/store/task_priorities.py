"""Changes of the priority of waiting tasks.

A task in its queue gets its next delivery and is sent again, by its new priority: a worker ignores the
message of the earlier delivery. Lock the row of the job before.
"""

from sqlalchemy import ColumnElement, Connection, update

from tork_celery.domain.states import TaskState
from tork_celery.store.tables import tasks

_WAITING = (TaskState.CREATED, TaskState.PENDING)


def set_of_job(tx: Connection, job_id: str, priority: int) -> set[str]:
    """Set the priority of the waiting tasks of a job, and return their queues."""
    return _set(tx, tasks.c.job_id == job_id, priority)


def set_of_task(tx: Connection, task_id: str, priority: int) -> set[str]:
    """Set the priority of a task, and return its queue; an empty set if it does not wait."""
    return _set(tx, tasks.c.id == task_id, priority)


def _set(tx: Connection, condition: ColumnElement[bool], priority: int) -> set[str]:
    scheduled = {"priority": priority, "delivery": tasks.c.delivery + 1, "sent_at": None}
    queues = set[str]()
    for states, values in (((TaskState.SCHEDULED,), scheduled), (_WAITING, {"priority": priority})):
        query = update(tasks).where(condition, tasks.c.state.in_(states)).values(values)
        queues.update(tx.scalars(query.returning(tasks.c.queue)))
    return queues
