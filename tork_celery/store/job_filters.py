"""Filters of the list of jobs as conditions. Each has an index, or reads a bounded number of rows."""

from sqlalchemy import Connection, false, or_, select
from sqlalchemy.sql.elements import ColumnElement

from tork_celery.domain.job_filter import JobFilter
from tork_celery.store.tables import jobs, tasks

NEWEST_OF_SCHEDULE = 100_000
"""Newest jobs among which those of a schedule are found."""
_AFTER_HEX = "g"  # sorts after all hexadecimal digits
_CLOCK_SKEW_S = 3600.0  # jobs are stored in the order of their times, but for clocks that differ


def conditions(tx: Connection, wanted: JobFilter) -> list[ColumnElement[bool]]:
    """Return the conditions on `jobs` that a filter stands for."""
    found: list[ColumnElement[bool]] = []
    if wanted.id_prefix is not None:
        found.append(begins_with(jobs.c.id, wanted.id_prefix))
    if wanted.parent is not None:
        subjobs = _subjobs(tx, wanted.parent)
        found.append(jobs.c.seq.in_(subjobs) if subjobs else false())
    if wanted.schedule is not None:
        found += [jobs.c.schedule_id == wanted.schedule, jobs.c.seq > _newest_seq(tx) - NEWEST_OF_SCHEDULE]
    if wanted.since is not None:
        found += [
            jobs.c.created_at >= wanted.since,
            jobs.c.seq >= _first_seq(tx, wanted.since - _CLOCK_SKEW_S),
        ]
    if wanted.until is not None:
        found += [jobs.c.created_at < wanted.until, jobs.c.seq < _first_seq(tx, wanted.until + _CLOCK_SKEW_S)]
    return found


def begins_with(id_: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
    """Return the condition that an id begins with hexadecimal digits."""
    return id_.between(prefix, prefix + _AFTER_HEX)


def _subjobs(tx: Connection, parent: str) -> list[int]:
    """Return the numbers of the subjobs that a job or task has started."""
    of_parent = or_(tasks.c.job_id == parent, tasks.c.id == parent)
    query = select(jobs.c.seq).join(tasks, tasks.c.subjob_id == jobs.c.id)
    return list(tx.scalars(query.where(of_parent, tasks.c.subjob_id.is_not(None))))


def _first_seq(tx: Connection, time: float) -> int:
    """Return the number of the first job that was submitted at or after a time, or the next free number.

    A binary search over the primary key, since an index on the time would cost each submission.
    """
    low, high = 0, _newest_seq(tx) + 1
    while low < high:
        middle = (low + high) // 2
        query = select(jobs.c.seq, jobs.c.created_at).where(jobs.c.seq >= middle).order_by(jobs.c.seq)
        row = tx.execute(query.limit(1)).one_or_none()
        if row is None or row.created_at >= time:
            high = middle
        else:
            low = row.seq + 1
    return low


def _newest_seq(tx: Connection) -> int:
    return tx.scalar(select(jobs.c.seq).order_by(jobs.c.seq.desc()).limit(1)) or 0
