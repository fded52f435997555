"""Conditions on tasks that several queries share."""

from sqlalchemy import CTE, func, select
from sqlalchemy.sql.elements import ColumnElement

from tork_celery.store.tables import ACTIVE_TASKS, RUNNING_TASKS, SCHEDULED_TASKS, tasks


def claimed() -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of a task that a node has claimed and whose steps have not ended.

    A RUNNING composite is never claimed.
    """
    return RUNNING_TASKS, tasks.c.outcome.is_(None), tasks.c.node.is_not(None)


def between_steps() -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of a task that waits for its next step, on the node that claimed it."""
    return *claimed(), tasks.c.step_running.is_(False)


def sent(queue: ColumnElement[str] | str) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of the scheduled tasks of a queue that have a message.

    With IS NOT NULL instead of the comparison, SQLite would read all scheduled tasks of the queue.
    """
    return ACTIVE_TASKS, SCHEDULED_TASKS, tasks.c.queue == queue, tasks.c.sent_at > 0


def queue_names(*conditions: ColumnElement[bool]) -> CTE:
    """Return a query for the column `queue`: the queues of the tasks with these conditions, and a null.

    It looks up each queue in an index on the queue, where DISTINCT would read the rows of all tasks.
    """
    names = select(func.min(tasks.c.queue).label("queue")).where(*conditions).cte("names", recursive=True)
    following = select(func.min(tasks.c.queue)).where(*conditions, tasks.c.queue > names.c.queue)
    return names.union_all(
        select(following.correlate(names).scalar_subquery()).where(names.c.queue.is_not(None))
    )
