"""Deletion of ended jobs with their tasks, logs and results.

A large job is deleted in several transactions. After the first one it is marked, so that no user sees it any
longer, and it is due.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Table, delete, select, tuple_, update
from sqlalchemy.sql.elements import ColumnElement

from tork_celery.domain.states import ACTIVE_JOBS
from tork_celery.store.database import datastore_now_once
from tork_celery.store.jobs import DELETED, without_active_relatives
from tork_celery.store.tables import composite_items, job_results, jobs, log_parts, tasks, waiting_tasks

MAX_ROWS = 500
"""Rows of each table that one transaction deletes."""
_PARTS = (log_parts, tasks, job_results, composite_items, waiting_tasks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """Number of jobs that were deleted, and whether more are due."""

    jobs: int
    more: bool


def remove_due(tx: Connection, *, keep_s: float | None, limit: int) -> Removal:
    """Delete ended jobs that are due, as far as the number of rows allows.

    Up to `limit` jobs are due because their `delete_at` has passed, and up to `limit` jobs without a
    `delete_at` because they ended more than `keep_s` seconds ago; with None the latter are kept.
    """
    now = datastore_now_once()
    due = _due(tx, jobs.c.delete_at <= now, limit=limit)
    if keep_s is not None:
        due += _due(tx, (jobs.c.ended_at < now - keep_s) & jobs.c.delete_at.is_(None), limit=limit)
    if not remove(tx, due):
        return Removal(jobs=0, more=True)
    return Removal(jobs=len(due), more=len(due) >= limit)


def remove(tx: Connection, job_ids: Sequence[str]) -> bool:
    """Delete ended jobs. Return False if rows are left: the jobs are marked then, and due."""
    if not job_ids:
        return True
    if all(_remove_rows(tx, table, job_ids) for table in _PARTS):
        tx.execute(delete(jobs).where(jobs.c.id.in_(job_ids)))
        return True
    tx.execute(update(jobs).where(jobs.c.id.in_(job_ids)).values(delete_at=DELETED))
    return False


def has_old_logs(tx: Connection, *, keep_s: float) -> bool:
    """Return whether the oldest log part was printed more than `keep_s` seconds ago."""
    printed_at = select(log_parts.c.created_at).order_by(log_parts.c.seq).limit(1).scalar_subquery()
    return bool(tx.scalar(select(printed_at < datastore_now_once() - keep_s)))


def remove_old_logs(tx: Connection, *, keep_s: float) -> bool:
    """Delete the oldest log parts, if printed more than `keep_s` seconds ago. Return whether more may be old.

    Parts are stored in about the order of their times, so this looks at the first MAX_ROWS only. A worker
    that adopts a step whose parts are all gone stores its output again.
    """
    oldest = select(log_parts.c.seq).order_by(log_parts.c.seq).limit(MAX_ROWS)
    is_old = log_parts.c.created_at < datastore_now_once() - keep_s
    return tx.execute(delete(log_parts).where(log_parts.c.seq.in_(oldest), is_old)).rowcount == MAX_ROWS


def _due(tx: Connection, condition: ColumnElement[bool], *, limit: int) -> list[str]:
    """Return the ids of ended jobs, with their rows locked."""
    query = (
        select(jobs.c.id)
        .where(
            condition,
            jobs.c.state.not_in(ACTIVE_JOBS),
            jobs.c.stopping.is_(None),
            without_active_relatives(),
        )
        .limit(limit)
    )
    return list(tx.scalars(query.with_for_update(of=jobs, skip_locked=True)))


def _remove_rows(tx: Connection, table: Table, job_ids: Sequence[str]) -> bool:
    """Delete up to MAX_ROWS rows of the jobs. Return whether none are left."""
    key = tuple_(*table.primary_key)
    rows = select(*table.primary_key).where(table.c.job_id.in_(job_ids)).limit(MAX_ROWS)
    return tx.execute(delete(table).where(key.in_(rows))).rowcount < MAX_ROWS
