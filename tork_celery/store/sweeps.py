"""What a coordinator looks for: tasks and jobs that do not move on by themselves."""

from sqlalchemy import Connection, case, func, or_, select

from tork_celery.domain.model import Task
from tork_celery.domain.states import ACTIVE, ACTIVE_JOBS, TaskState
from tork_celery.store.database import datastore_now
from tork_celery.store.tables import ACTIVE_TASKS, jobs, tasks
from tork_celery.store.tasks import claimed, due, task_of, waiting


def lost(tx: Connection, *, limit: int) -> list[Task]:
    """Running tasks whose lease ran out, locked."""
    query = (
        select(tasks)
        .where(*claimed(), tasks.c.lease_until < datastore_now())
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [task_of(row) for row in tx.execute(query)]


def unadvanced(tx: Connection, *, after_s: float, limit: int) -> list[tuple[str, int]]:
    """(id, delivery) of the tasks whose steps ended a while ago and whose jobs have not moved on."""
    query = (
        select(tasks.c.id, tasks.c.delivery)
        .where(
            ACTIVE_TASKS,
            tasks.c.state == TaskState.RUNNING,
            tasks.c.outcome.is_not(None),
            tasks.c.ended_at < datastore_now() - after_s,
        )
        .limit(limit)
    )
    return [(row.id, row.delivery) for row in tx.execute(query)]


def waiting_queues(tx: Connection) -> dict[tuple[str, str | None], int]:
    """How many tasks wait for a message to be taken, by (queue, node): the node is set where a task that it
    has begun waits for its next step."""
    node = case((tasks.c.state == TaskState.RUNNING, tasks.c.node), else_=None).label("node")
    query = select(tasks.c.queue, node, func.count()).where(waiting()).group_by(tasks.c.queue, node)
    return {(queue, holder): number for queue, holder, number in tx.execute(query)}


def waiting_longest(
    tx: Connection, *, queue: str, node: str | None, after_s: float, limit: int
) -> list[Task]:
    """Those of the waiting tasks of a queue for which no message was published for `after_s`, locked."""
    held = tasks.c.node == node if node else due()
    query = (
        select(tasks)
        .where(waiting(), tasks.c.queue == queue, held)
        .where(or_(tasks.c.sent_at.is_(None), tasks.c.sent_at < datastore_now() - after_s))
        .order_by(tasks.c.sent_at.nulls_first())
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [task_of(row) for row in tx.execute(query)]


def unfilled(tx: Connection, *, limit: int) -> list[str]:
    """Composites with children whose turn has come: there is room for one more."""
    room = or_(tasks.c.concurrency == 0, tasks.c.released - tasks.c.completions < tasks.c.concurrency)
    query = select(tasks.c.id).where(
        ACTIVE_TASKS, tasks.c.state == TaskState.RUNNING, tasks.c.released < tasks.c.size, room
    )
    return list(tx.scalars(query.limit(limit)))


def waiting_for_ended(tx: Connection, *, limit: int) -> list[str]:
    """Tasks that wait for a job which has ended."""
    query = (
        select(tasks.c.id)
        .join(jobs, jobs.c.id == tasks.c.subjob_id)
        .where(ACTIVE_TASKS, tasks.c.state == TaskState.RUNNING, jobs.c.state.not_in(ACTIVE_JOBS))
    )
    return list(tx.scalars(query.limit(limit)))


def orphans(tx: Connection, *, limit: int) -> list[str]:
    """Active jobs whose parent does not wait for them any more."""
    query = (
        select(jobs.c.id)
        .join(tasks, tasks.c.id == jobs.c.parent_id)
        .where(jobs.c.state.in_(ACTIVE_JOBS), tasks.c.state.not_in(ACTIVE))
    )
    return list(tx.scalars(query.limit(limit)))
