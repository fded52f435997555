"""Slots of jobs with a `concurrency`.

A job holds a slot of its key from SCHEDULED to its end, and waits for one while it is PENDING. There are no
rows of slots, so none can leak: a job that has ended or was deleted holds none.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, func, select

from tork_celery.store.tables import HOLDING_SLOT, WAITING_FOR_SLOT, jobs


def lock(tx: Connection, key: str) -> None:
    """Let decisions about a key wait for each other until this transaction ends.

    A transaction that locks a job and a key locks the job first. SQLite has one writer at a time.
    """
    if tx.dialect.name != "sqlite":
        tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key, 0))))


def holders(tx: Connection, key: str) -> Sequence[str]:
    """Return the ids of the jobs that hold a slot of a key, oldest first."""
    query = select(jobs.c.id).where(HOLDING_SLOT, jobs.c.slot_key == key)
    return tx.scalars(query.order_by(jobs.c.seq)).all()


def next_waiting(tx: Connection, key: str) -> str | None:
    """Return the id of the job that is to get a slot now: of those whose limit allows it, the one with the
    highest priority, and of these the oldest."""
    held = select(func.count()).where(HOLDING_SLOT, jobs.c.slot_key == key).correlate(None).scalar_subquery()
    query = select(jobs.c.id).where(WAITING_FOR_SLOT, jobs.c.slot_key == key, jobs.c.slot_limit > held)
    return tx.scalar(query.order_by(jobs.c.priority.desc(), jobs.c.seq).limit(1))


def any_waits(tx: Connection, key: str) -> bool:
    """Return whether a job waits for a slot of a key."""
    query = select(jobs.c.id).where(WAITING_FOR_SLOT, jobs.c.slot_key == key)
    return tx.scalar(query.limit(1)) is not None


def waiting_keys(tx: Connection, *, limit: int) -> Sequence[str]:
    """Return the keys for whose slots jobs wait."""
    return tx.scalars(select(jobs.c.slot_key).where(WAITING_FOR_SLOT).distinct().limit(limit)).all()
