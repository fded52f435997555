"""Tasks that have no rows yet: some of their needs have ended, or a plan is to start them.

They belong to a list: the tasks of a job, or those of a `parallel` with the id `parent_id`.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from tork_celery.domain.plan import ListedTask, UnmetNeeds, WaitingTask
from tork_celery.store.tables import READY_TASKS
from tork_celery.store.tables import waiting_tasks as table

_IS_AT = (
    table.c.job_id == bindparam("of_job"),
    table.c.parent_id == bindparam("of_parent"),
    table.c.index == bindparam("at_index"),
)
_INSERT = insert(table).values(
    job_id=bindparam("of_job"),
    parent_id=bindparam("of_parent"),
    index=bindparam("at_index"),
    unmet=bindparam("unmet"),
    failed_need=bindparam("failed_need"),
)
_UPDATE = update(table).where(*_IS_AT).values(unmet=bindparam("unmet"), failed_need=bindparam("failed_need"))
_SELECT: Select[Any] = select(table.c.index, table.c.unmet, table.c.failed_need)
_DELETE = delete(table).where(*_IS_AT)


def unmet_needs(
    tx: Connection, job_id: str, parent_id: str | None, indexes: Sequence[int]
) -> dict[int, UnmetNeeds]:
    """Return the unmet needs, by index, of those of the tasks of a list that are stored."""
    return _read(tx, _SELECT.where(*_of_list(job_id, parent_id), table.c.index.in_(indexes)))


def ready(tx: Connection, job_id: str, parent_id: str | None, *, limit: int) -> dict[int, UnmetNeeds]:
    """Return the first tasks of a list without unmet needs, by index."""
    query = _SELECT.where(*_of_list(job_id, parent_id), READY_TASKS)
    return _read(tx, query.order_by(table.c.index).limit(limit))


def save(tx: Connection, job_id: str, waiting: Sequence[WaitingTask]) -> None:
    """Store new tasks, and the changed needs of others."""
    added = [_row(job_id, task) for task in waiting if task.is_new]
    changed = [_row(job_id, task) for task in waiting if not task.is_new]
    if added:
        tx.execute(_INSERT, added)
    if changed:
        tx.execute(_UPDATE, changed)


def remove(tx: Connection, job_id: str, places: Iterable[ListedTask]) -> None:
    if keys := [_key(job_id, place) for place in places]:
        tx.execute(_DELETE, keys)


def remove_all(tx: Connection, job_id: str) -> None:
    tx.execute(delete(table).where(table.c.job_id == job_id))


def _read(tx: Connection, query: Select[Any]) -> dict[int, UnmetNeeds]:
    return {index: UnmetNeeds(unmet, failed_need) for index, unmet, failed_need in tx.execute(query)}


def _row(job_id: str, task: WaitingTask) -> dict[str, Any]:
    needs = {"unmet": task.needs.number, "failed_need": task.needs.failed}
    return _key(job_id, task.place) | needs


def _key(job_id: str, place: ListedTask) -> dict[str, Any]:
    return {"of_job": job_id, "of_parent": place.parent_id or job_id, "at_index": place.index}


def _of_list(job_id: str, parent_id: str | None) -> tuple[ColumnElement[bool], ...]:
    return table.c.job_id == job_id, table.c.parent_id == (parent_id or job_id)
