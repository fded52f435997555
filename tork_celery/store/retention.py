"""Which jobs go by themselves."""

from sqlalchemy import Connection, delete, select
from sqlalchemy.sql.elements import ColumnElement

from tork_celery.domain.states import ACTIVE_JOBS
from tork_celery.store.database import datastore_now_once
from tork_celery.store.jobs import unrelated
from tork_celery.store.tables import jobs


def remove_due(tx: Connection, *, keep_s: float | None, limit: int) -> int:
    """Remove ended jobs, with their tasks and logs: up to so many whose time has come, and as many that ended
    `keep_s` ago and have no time of their own (with None these stay for ever). How many went."""
    now = datastore_now_once()
    removed = _remove(tx, jobs.c.delete_at <= now, limit=limit)
    if keep_s is not None:
        old = (jobs.c.ended_at < now - keep_s) & jobs.c.delete_at.is_(None)
        removed += _remove(tx, old, limit=limit)
    return removed


def _remove(tx: Connection, condition: ColumnElement[bool], *, limit: int) -> int:
    query = select(jobs.c.seq).where(condition, jobs.c.state.not_in(ACTIVE_JOBS), unrelated()).limit(limit)
    due = tx.scalars(query.with_for_update(of=jobs, skip_locked=True)).all()
    if due:
        tx.execute(delete(jobs).where(jobs.c.seq.in_(due)))
    return len(due)
