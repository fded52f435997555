"""Queries of the task tree of a job: top-level tasks, then the children of composites, a page at a time."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, and_, case, func, or_, select
from sqlalchemy.sql.elements import ColumnElement

from tork_celery.domain.model import Task
from tork_celery.domain.states import TaskState
from tork_celery.store.tables import tasks
from tork_celery.store.tasks import task_of

_LATER = tasks.alias()
_HAS_LATER_ATTEMPT = (
    select(_LATER.c.id)
    .where(
        _LATER.c.first_id == func.coalesce(tasks.c.first_id, tasks.c.id),
        _LATER.c.attempts > tasks.c.attempts,
    )
    .exists()
)
_SHOWN_FIRST = {TaskState.FAILED: 0, TaskState.RUNNING: 1, TaskState.PENDING: 2, TaskState.SCHEDULED: 2}
_RANK = case(_SHOWN_FIRST, value=tasks.c.state, else_=3)


def top_level(tx: Connection, job_id: str, *, offset: int, limit: int) -> list[Task]:
    """Return the latest attempts of top-level tasks of a job, in order."""
    of_job = _latest(tasks.c.job_id == job_id, tasks.c.parent_id.is_(None))
    query = of_job.order_by(tasks.c.position, tasks.c.created_at).offset(offset).limit(limit)
    return [task_of(row) for row in tx.execute(query)]


def children(tx: Connection, parents: Sequence[str], *, limit: int) -> dict[str, list[Task]]:
    """Return the latest attempts of up to `limit` children of each parent: failed first, then running, then
    waiting ones, and by index."""
    if not parents:
        return {}
    place = func.row_number().over(partition_by=tasks.c.parent_id, order_by=(_RANK, tasks.c.index))
    ranked = select(tasks.c.id, place.label("place")).where(
        tasks.c.parent_id.in_(parents), ~_HAS_LATER_ATTEMPT
    )
    chosen = ranked.subquery()
    query = select(tasks).join(chosen, chosen.c.id == tasks.c.id).where(chosen.c.place <= limit)
    found = defaultdict[str, list[Task]](list)
    for row in tx.execute(query.order_by(tasks.c.parent_id, chosen.c.place)):
        found[row.parent_id].append(task_of(row))
    return found


def child_page(tx: Connection, parent_id: str, *, offset: int, limit: int) -> list[Task]:
    """Return a page of the children of a composite, in the order of `children`."""
    query = _latest(tasks.c.parent_id == parent_id).order_by(_RANK, tasks.c.index)
    return [task_of(row) for row in tx.execute(query.offset(offset).limit(limit))]


def child_counts(tx: Connection, parents: Sequence[str]) -> Mapping[str, Mapping[TaskState, int]]:
    """Return the number of children of each parent by state, without attempts that were retried."""
    if not parents:
        return {}
    retries = func.sum(case((tasks.c.attempts > 0, 1), else_=0))
    query = (
        select(tasks.c.parent_id, tasks.c.state, func.count(), retries)
        .where(tasks.c.parent_id.in_(parents))
        .group_by(tasks.c.parent_id, tasks.c.state)
    )
    counts = defaultdict[str, dict[TaskState, int]](dict)
    retried = defaultdict[str, int](int)
    for parent_id, state, number, retry_count in tx.execute(query):
        counts[parent_id][TaskState(state)] = number
        retried[parent_id] += int(retry_count)
    for parent_id, number in retried.items():
        failed = counts[parent_id].get(TaskState.FAILED, 0)
        counts[parent_id][TaskState.FAILED] = max(0, failed - number)
    return counts


def attempts(tx: Connection, latest: Sequence[Task]) -> dict[str, list[Task]]:
    """Return all attempts, oldest first, of the tasks whose latest attempts are given, by the first id."""
    first_ids = [task.first_id for task in latest if task.first_id]
    if not first_ids:
        return {}
    query = select(tasks).where(or_(tasks.c.id.in_(first_ids), tasks.c.first_id.in_(first_ids)))
    found = defaultdict[str, list[Task]](list)
    for row in tx.execute(query.order_by(tasks.c.attempts)):
        found[row.first_id or row.id].append(task_of(row))
    return found


def _latest(*conditions: ColumnElement[bool]) -> Select[Any]:
    return select(tasks).where(and_(*conditions), ~_HAS_LATER_ATTEMPT)
