"""Queues of tasks that may exist in the broker. Those that nobody uses are deleted there after a while.

The default queue is not among them: it always exists.
"""

from collections.abc import Collection

from sqlalchemy import Connection, delete, exists, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import ColumnElement

from tork_celery.store.database import datastore_now, datastore_now_once
from tork_celery.store.tables import ACTIVE_TASKS, tasks
from tork_celery.store.tables import task_queues as table

_INSERT = {
    name: dialect.insert(table).values(checked_at=datastore_now()).on_conflict_do_nothing()
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}


def add(tx: Connection, names: Collection[str]) -> None:
    """Add the queues that are not known yet."""
    if names:
        tx.execute(_INSERT[tx.dialect.name], [{"name": name} for name in sorted(names)])


def unchecked(tx: Connection, *, for_s: float, limit: int) -> list[str]:
    """Return queues that were not checked for `for_s` seconds, those first that wait longest."""
    query = select(table.c.name).where(table.c.checked_at < datastore_now_once() - for_s)
    return list(tx.scalars(query.order_by(table.c.checked_at).limit(limit)))


def mark_checked(tx: Connection, names: Collection[str]) -> None:
    tx.execute(update(table).where(table.c.name.in_(names)).values(checked_at=datastore_now()))


def with_tasks(tx: Connection, names: Collection[str]) -> list[str]:
    """Return those of the queues for which an active task is stored."""
    return list(tx.scalars(select(table.c.name).where(table.c.name.in_(names), _has_tasks())))


def remove_unused(tx: Connection, names: Collection[str]) -> None:
    """Remove those of the queues for which no active task is stored."""
    tx.execute(delete(table).where(table.c.name.in_(names), ~_has_tasks()))


def _has_tasks() -> ColumnElement[bool]:
    return exists().where(ACTIVE_TASKS, tasks.c.queue == table.c.name)
