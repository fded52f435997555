"""Deletion of ended jobs after their retention time."""

from sqlalchemy import Connection, delete, select
from sqlalchemy.sql.elements import ColumnElement

from tork_celery.domain.states import ACTIVE_JOBS
from tork_celery.store.database import datastore_now_once
from tork_celery.store.jobs import without_active_relatives
from tork_celery.store.tables import jobs


def remove_due(tx: Connection, *, keep_s: float | None, limit: int) -> int:
    """Delete ended jobs, with their tasks and logs, and return their number.

    Deletes up to `limit` jobs whose `delete_at` has passed, and up to `limit` jobs without a `delete_at` that
    ended more than `keep_s` seconds ago; with None the latter are kept.
    """
    now = datastore_now_once()
    removed = _remove(tx, jobs.c.delete_at <= now, limit=limit)
    if keep_s is not None:
        old = (jobs.c.ended_at < now - keep_s) & jobs.c.delete_at.is_(None)
        removed += _remove(tx, old, limit=limit)
    return removed


def _remove(tx: Connection, condition: ColumnElement[bool], *, limit: int) -> int:
    query = (
        select(jobs.c.seq)
        .where(condition, jobs.c.state.not_in(ACTIVE_JOBS), without_active_relatives())
        .limit(limit)
    )
    due = tx.scalars(query.with_for_update(of=jobs, skip_locked=True)).all()
    if due:
        tx.execute(delete(jobs).where(jobs.c.seq.in_(due)))
    return len(due)
