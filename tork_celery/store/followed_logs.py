"""Queries of the log of a task with all its attempts, for readers that follow it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, or_, select

from tork_celery.domain.logs import LogPart
from tork_celery.domain.states import TaskState
from tork_celery.store.jobs import is_not_deleted
from tork_celery.store.logs import PARTS, log_part
from tork_celery.store.tables import jobs, log_parts, tasks

_NEWEST_AT_A_TIME = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attempt of a task. `number` counts from 0; `started` is whether a node claimed it."""

    id: str
    number: int
    state: TaskState
    started: bool
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class FollowedTask:
    """The ids of a task's first attempt and of its job."""

    first_id: str
    job_id: str


def find(tx: Connection, task_id: str) -> FollowedTask | None:
    """Return the task of any of its attempts."""
    first_id = func.coalesce(tasks.c.first_id, tasks.c.id)
    query = select(first_id, tasks.c.job_id).join(jobs, jobs.c.id == tasks.c.job_id)
    row = tx.execute(query.where(tasks.c.id == task_id, is_not_deleted())).one_or_none()
    return None if row is None else FollowedTask(*row)


def attempts(tx: Connection, first_id: str) -> list[Attempt]:
    """Return the attempts of a task, in order; none if the task was deleted."""
    query = (
        select(tasks.c.id, tasks.c.attempts, tasks.c.state, tasks.c.started_at, tasks.c.ended_at)
        .join(jobs, jobs.c.id == tasks.c.job_id)
        .where(or_(tasks.c.id == first_id, tasks.c.first_id == first_id), is_not_deleted())
        .order_by(tasks.c.attempts)
    )
    return [
        Attempt(
            id=row.id,
            number=row.attempts,
            state=TaskState(row.state),
            started=row.started_at is not None,
            ended_at=row.ended_at,
        )
        for row in tx.execute(query)
    ]


def parts_after(tx: Connection, task_id: str, number: int, *, limit: int) -> Sequence[LogPart]:
    """Return the next parts of an attempt after the part with this number, in order."""
    query = PARTS.where(log_parts.c.task_id == task_id, log_parts.c.number > number)
    return [log_part(row) for row in tx.execute(query.order_by(log_parts.c.number).limit(limit))]


def has_part(tx: Connection, task_id: str, number: int) -> bool:
    """Return whether an attempt has a part with this number."""
    query = select(log_parts.c.seq).where(log_parts.c.task_id == task_id, log_parts.c.number == number)
    return tx.scalar(query) is not None


def newest_contents(tx: Connection, task_id: str) -> Iterator[tuple[int, str]]:
    """Yield the numbers and contents of the parts of an attempt, newest first, read as they are needed."""
    below: int | None = None
    while True:
        query = select(log_parts.c.number, log_parts.c.contents).where(log_parts.c.task_id == task_id)
        if below is not None:
            query = query.where(log_parts.c.number < below)
        rows = tx.execute(query.order_by(log_parts.c.number.desc()).limit(_NEWEST_AT_A_TIME)).all()
        yield from ((row.number, row.contents) for row in rows)
        if not rows:
            return
        below = rows[-1].number
