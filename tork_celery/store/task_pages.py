"""Pages of tasks.

The list of tasks is bounded: without a filter by job, id or an active state, it has the tasks of the newest
MAX_JOBS jobs; of more than MAX_MATCHES matches it has MAX_MATCHES.
"""

from sqlalchemy import Connection, Select, func, select
from sqlalchemy.sql.elements import ColumnElement

from tork_celery.domain.model import Task
from tork_celery.domain.states import ACTIVE, TaskState
from tork_celery.domain.task_filter import NO_FILTER, TaskFilter
from tork_celery.domain.user import User
from tork_celery.store import tasks as task_rows
from tork_celery.store.job_filters import begins_with
from tork_celery.store.jobs import is_not_deleted
from tork_celery.store.permissions import visible
from tork_celery.store.tables import ACTIVE_TASKS, jobs, tasks

MAX_MATCHES = 10_000
MAX_JOBS = 10_000


def page(
    tx: Connection, wanted: TaskFilter = NO_FILTER, *, number: int, size: int, viewer: User | None = None
) -> tuple[list[Task], int]:
    """Return page `number` (from 1) of the tasks of a filter that `viewer` may see, those of the newest jobs
    first, and their number, MAX_MATCHES at most."""
    query = select(tasks.c.id).join_from(jobs, tasks, tasks.c.job_id == jobs.c.id)
    query = query.where(_selects(tx, wanted), *_conditions(wanted), is_not_deleted(), visible(viewer))
    newest_first = query.order_by(jobs.c.seq.desc(), tasks.c.position.desc())
    ids = tx.scalars(newest_first.limit(MAX_MATCHES)).all()
    offset = (number - 1) * size
    return task_rows.by_ids(tx, ids[offset : offset + size]), len(ids)


def children(
    tx: Connection, job_id: str, *, parent: str | None, state: TaskState | None, number: int, size: int
) -> tuple[list[Task], int]:
    """Return page `number` (from 1) of the tasks below a composite, or at the top level of a job, in their
    order, and their number."""
    query = select(tasks).where(tasks.c.job_id == job_id, tasks.c.parent_id == parent)
    query = query if state is None else query.where(tasks.c.state == state)
    total = tx.scalar(query.with_only_columns(func.count())) or 0
    order = tasks.c.position, tasks.c.index, tasks.c.created_at, tasks.c.id
    rows = tx.execute(query.order_by(*order).limit(size).offset((number - 1) * size))
    return [task_rows.task_of(row) for row in rows], total


def _selects(tx: Connection, wanted: TaskFilter) -> ColumnElement[bool]:
    """Return the criterion of a filter that has an index and bounds the number of rows to read."""
    if wanted.job is not None:
        return jobs.c.id == wanted.job
    if wanted.id_prefix is not None:
        return begins_with(tasks.c.id, wanted.id_prefix)
    if wanted.state in ACTIVE:
        return tasks.c.id.in_(_active(wanted).limit(MAX_MATCHES))
    newest = tx.scalar(select(jobs.c.seq).order_by(jobs.c.seq.desc()).limit(1)) or 0
    return jobs.c.seq > newest - MAX_JOBS


def _active(wanted: TaskFilter) -> Select[tuple[str]]:
    return select(tasks.c.id).where(ACTIVE_TASKS, *_conditions(wanted))


def _conditions(wanted: TaskFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.state is not None:
        found.append(tasks.c.state == wanted.state)
    if wanted.queue is not None:
        found.append(tasks.c.queue == wanted.queue)
    return found
