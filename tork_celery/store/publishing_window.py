"""The publishing window of each queue: how many of its waiting tasks have a message in the broker.

A message is a wake-up, so there need be no more of them than workers can take soon. The tasks that wait
beyond the window have no `sent_at`. Mark tasks as sent in a transaction, and publish them after its commit.
"""

import functools
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import CTE, ColumnElement, Connection, Update, bindparam, case, func, select, update

from tork_celery.domain.model import Task
from tork_celery.store import tasks
from tork_celery.store.database import datastore_now
from tork_celery.store.tables import SENDING_ORDER, UNSENT_TASKS, nodes
from tork_celery.store.tables import tasks as table
from tork_celery.store.task_conditions import queue_names, sent

SMALLEST_WINDOW = 8
"""Messages of a queue with few slots, or without live workers."""
MESSAGES_PER_SLOT = 2
"""Messages for each slot of the live workers of a queue: one to take next, and one while that is replaced."""


def mark_next_sent(
    tx: Connection, queues: Iterable[str], *, lease_s: float, known: Iterable[Task] = ()
) -> list[Task]:
    """Mark the next waiting tasks of each queue as sent, as many as its window has room for.

    Return them, in order of priority and age for each queue. `known` are tasks as they are stored, which need
    not be read. Call this last in a transaction: on PostgreSQL it locks tasks of other jobs, though it never
    waits for them.
    """
    marked: dict[str, float] = {}
    for queue in sorted(queues):
        rows = tx.execute(_mark_next_sent(tx.dialect.name), {"queue_name": queue, "lease_s": lease_s}).all()
        marked |= {row.id: row.sent_at for row in sorted(rows, key=lambda row: (-row.priority, *row[3:]))}
    by_id = {task.id: task for task in known if task.id in marked}
    unknown = [task_id for task_id in marked if task_id not in by_id]
    by_id |= {task.id: task for task in tasks.by_ids(tx, unknown)} if unknown else {}
    return [replace(by_id[id_], sent_at=sent_at) for id_, sent_at in marked.items() if id_ in by_id]


def queues_with_room(tx: Connection, *, lease_s: float) -> list[str]:
    """Return the queues whose window has room for tasks that are not sent, by name."""
    return list(tx.scalars(_queues_with_room(tx.dialect.name), {"lease_s": lease_s}))


def clear_sent(tx: Connection, queue: str) -> None:
    """Mark the waiting tasks of a queue as not sent, after its messages were removed.

    Tasks that another transaction changes now, by a claim or an end, keep their message.
    """
    waiting = select(table.c.id).where(*sent(queue)).with_for_update(skip_locked=True).cte("waiting")
    tx.execute(update(table).where(table.c.id.in_(select(waiting.c.id))).values(sent_at=None))


@functools.cache
def _mark_next_sent(dialect: str) -> Update:
    queue: ColumnElement[str] = bindparam("queue_name")
    following = (
        select(table.c.id)
        .where(UNSENT_TASKS, table.c.queue == queue)
        .order_by(*SENDING_ORDER)
        .limit(_room(dialect, queue))
        .with_for_update(skip_locked=True)
        .cte("following")  # PostgreSQL might evaluate a subquery several times, and mark too many
    )
    order = (table.c.priority, table.c.job_created_at, table.c.position, table.c.index)
    return (
        update(table)
        .where(table.c.id.in_(select(following.c.id)))
        .values(sent_at=datastore_now())
        .returning(table.c.id, table.c.sent_at, *order)
    )


@functools.cache
def _queues_with_room(dialect: str) -> Any:
    names = queue_names(UNSENT_TASKS)
    room = _room(dialect, names.c.queue, names)
    return select(names.c.queue).where(names.c.queue.is_not(None), room > 0).order_by(names.c.queue)


def _room(dialect: str, queue: ColumnElement[str], outer: CTE | None = None) -> ColumnElement[int]:
    """Return the number of further messages that the window of a queue has room for.

    `outer` is the query that the column `queue` comes from.
    """
    query = select(func.count()).select_from(table).where(*sent(queue))
    messages = query.correlate(outer).scalar_subquery()
    wanted = _live_slots(dialect, queue, outer) * MESSAGES_PER_SLOT
    window = case((wanted > SMALLEST_WINDOW, wanted), else_=SMALLEST_WINDOW)
    return case((window > messages, window - messages), else_=0)


def _live_slots(dialect: str, queue: ColumnElement[str], outer: CTE | None) -> ColumnElement[int]:
    """Return the number of slots of the live workers that serve a queue."""
    items = func.json_each if dialect == "sqlite" else func.json_array_elements_text
    served = items(nodes.c.queues).table_valued("value", joins_implicitly=True)
    is_live = (nodes.c.heartbeat_at > datastore_now() - bindparam("lease_s")) & nodes.c.stopped_at.is_(None)
    query = select(func.coalesce(func.sum(nodes.c.slots), 0)).where(is_live, served.c.value == queue)
    return query.correlate(outer).scalar_subquery()
