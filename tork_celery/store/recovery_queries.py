"""What a coordinator looks for: tasks and jobs that do not move on by themselves."""

from collections import Counter

from sqlalchemy import Connection, func, or_, select
from sqlalchemy.sql.elements import ColumnElement

from tork_celery.domain.model import Task
from tork_celery.domain.states import ACTIVE, ACTIVE_JOBS, TaskState
from tork_celery.store.database import datastore_now, datastore_now_once
from tork_celery.store.tables import ACTIVE_SUBJOBS, ACTIVE_TASKS, RUNNING_TASKS, jobs, tasks
from tork_celery.store.tasks import between, claimed, retry_due, task_of


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
            RUNNING_TASKS,
            tasks.c.outcome.is_not(None),
            tasks.c.ended_at < datastore_now() - after_s,
        )
        .limit(limit)
    )
    return [(row.id, row.delivery) for row in tx.execute(query)]


def waiting_queues(tx: Connection) -> dict[tuple[str, str | None], int]:
    """How many tasks wait for a message to be taken, by (queue, node): the node is set where a task that it
    has begun waits for its next step."""
    counted = Counter[tuple[str, str | None]]()
    for kind in _not_begun():
        query = select(tasks.c.queue, func.count()).where(*kind).group_by(tasks.c.queue)
        counted.update({(queue, None): number for queue, number in tx.execute(query)})
    begun = select(tasks.c.queue, tasks.c.node, func.count()).where(*between())
    for queue, node, number in tx.execute(begun.group_by(tasks.c.queue, tasks.c.node)):
        counted[queue, node] = number
    return dict(counted)


def waiting_longest(
    tx: Connection, *, queue: str, node: str | None, after_s: float, limit: int
) -> list[Task]:
    """Those of the waiting tasks of a queue for which no message was published for `after_s`, locked."""
    unheard = tasks.c.sent_at < datastore_now_once() - after_s
    query = (
        select(tasks)
        .where(tasks.c.queue == queue, unheard)
        .order_by(tasks.c.sent_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    kinds = [(*between(), tasks.c.node == node)] if node else _not_begun()
    found = [task_of(row) for kind in kinds for row in tx.execute(query.where(*kind))]
    return sorted(found, key=lambda task: task.sent_at or 0.0)[:limit]


def _not_begun() -> list[tuple[ColumnElement[bool], ...]]:
    """The two kinds of it. Each has its queries: an index has each of them in order, and not both."""
    return [(ACTIVE_TASKS, tasks.c.state == TaskState.SCHEDULED), (ACTIVE_TASKS, retry_due())]


def partly_started(tx: Connection, *, limit: int) -> list[str]:
    """Composites with children whose turn has come: there is room for one more."""
    room = or_(tasks.c.concurrency == 0, tasks.c.started_children - tasks.c.completions < tasks.c.concurrency)
    query = select(tasks.c.id).where(RUNNING_TASKS, tasks.c.started_children < tasks.c.size, room)
    return list(tx.scalars(query.limit(limit)))


def waiting_for_ended(tx: Connection, *, limit: int) -> list[str]:
    """Tasks that wait for a job which has ended."""
    query = (
        select(tasks.c.id)
        .join(jobs, jobs.c.id == tasks.c.subjob_id)
        .where(RUNNING_TASKS, tasks.c.subjob_id.is_not(None), jobs.c.state.not_in(ACTIVE_JOBS))
    )
    return list(tx.scalars(query.limit(limit)))


def orphans(tx: Connection, *, limit: int) -> list[str]:
    """Active jobs whose parent does not wait for them any more."""
    query = (
        select(jobs.c.id)
        .join(tasks, tasks.c.id == jobs.c.parent_id)
        .where(ACTIVE_SUBJOBS, tasks.c.state.not_in(ACTIVE))
    )
    return list(tx.scalars(query.limit(limit)))
