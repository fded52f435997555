"""Queries of scheduled jobs."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from tork_celery.domain.codec import decode, encode
from tork_celery.domain.definition import JobDefinition
from tork_celery.domain.scheduled_job import ScheduledJob, ScheduleState
from tork_celery.domain.user import User
from tork_celery.store import permissions
from tork_celery.store.database import datastore_now
from tork_celery.store.tables import scheduled_jobs as table


def add(tx: Connection, scheduled: ScheduledJob) -> None:
    tx.execute(
        insert(table),
        {
            "id": scheduled.id,
            "state": scheduled.state,
            "definition": encode(replace(scheduled.definition, secrets={})),
            "secrets": dict(scheduled.definition.secrets),
            "created_by": scheduled.created_by,
            "created_at": scheduled.created_at,
            "restricted": bool(scheduled.definition.permissions),
            "next_at": scheduled.next_at,
        },
    )
    permissions.permit_schedule(tx, scheduled.id, scheduled.definition.permissions)


def get(tx: Connection, id_: str) -> ScheduledJob | None:
    row = tx.execute(select(table).where(table.c.id == id_)).one_or_none()
    return None if row is None else _scheduled_job(row)


def lock(tx: Connection, id_: str) -> ScheduledJob | None:
    """Return the scheduled job, with its row locked until this transaction ends."""
    row = tx.execute(select(table).where(table.c.id == id_).with_for_update()).one_or_none()
    return None if row is None else _scheduled_job(row)


def page(
    tx: Connection, *, number: int, size: int, viewer: User | None = None
) -> tuple[Sequence[ScheduledJob], int]:
    """Return page `number` (from 1) of the scheduled jobs that `viewer` may see, and their total.

    The newest scheduled job comes first.
    """
    visible = permissions.visible_schedules(viewer)
    query = select(table).where(visible).order_by(table.c.seq.desc()).limit(size).offset((number - 1) * size)
    shown = [_scheduled_job(row) for row in tx.execute(query)]
    return shown, tx.scalar(select(func.count()).select_from(table).where(visible)) or 0


def save(tx: Connection, scheduled: ScheduledJob) -> None:
    """Store the state and the time of the next firing. The definition never changes."""
    values = {"state": scheduled.state, "next_at": scheduled.next_at}
    tx.execute(update(table).where(table.c.id == scheduled.id).values(**values))


def remove(tx: Connection, id_: str) -> bool:
    """Delete a scheduled job and keep the jobs that it created. Returns False if it does not exist."""
    return tx.execute(delete(table).where(table.c.id == id_)).rowcount == 1


def due(tx: Connection, *, limit: int) -> list[ScheduledJob]:
    """Return scheduled jobs whose next firing is due, the most overdue first."""
    query = select(table).where(table.c.next_at <= datastore_now()).order_by(table.c.next_at).limit(limit)
    return [_scheduled_job(row) for row in tx.execute(query)]


def claim_firing(tx: Connection, scheduled: ScheduledJob, *, next_at: float | None) -> bool:
    """Claim the due firing by setting the time of the next one.

    Compare-and-set: returns False if another process claimed the firing, or the scheduled job was paused or
    removed.
    """
    query = update(table).where(table.c.id == scheduled.id, table.c.next_at == scheduled.next_at)
    return tx.execute(query.values(next_at=next_at)).rowcount == 1


def _scheduled_job(row: Row[Any]) -> ScheduledJob:
    return ScheduledJob(
        id=row.id,
        definition=decode(JobDefinition, row.definition | {"secrets": row.secrets}),
        state=ScheduleState(row.state),
        created_at=row.created_at,
        created_by=row.created_by,
        next_at=row.next_at,
    )
