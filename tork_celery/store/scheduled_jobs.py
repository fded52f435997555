"""Queries of scheduled jobs."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from tork_celery.domain.codec import decode, encode
from tork_celery.domain.definition import JobDefinition
from tork_celery.domain.scheduled_job import MAX_LATENESS_S, Downtime, ScheduledJob, ScheduleState
from tork_celery.domain.user import User
from tork_celery.store import permissions
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


def due(tx: Connection, *, at: float, limit: int) -> list[tuple[str, float]]:
    """Return the ids and times of firings that are due at the time `at`, the most overdue first."""
    query = select(table.c.id, table.c.next_at).where(table.c.next_at <= at)
    rows = tx.execute(query.order_by(table.c.next_at, table.c.seq).limit(limit))
    return [(row.id, row.next_at) for row in rows]


def any_missed(tx: Connection, downtime: Downtime) -> bool:
    """Return whether a firing is due that was missed in a downtime."""
    end = downtime.end - MAX_LATENESS_S
    query = select(table.c.id).where(table.c.next_at > downtime.start, table.c.next_at < end)
    return tx.scalar(query.limit(1)) is not None


def claim_firing(
    tx: Connection, id_: str, *, due_at: float, next_at: float | None, caught_up: int = 0
) -> bool:
    """Claim a due firing by setting the time of the next one. The row stays locked until this transaction
    ends.

    Compare-and-set: returns False if another process claimed the firing, or the scheduled job was paused or
    removed.
    """
    query = update(table).where(table.c.id == id_, table.c.next_at == due_at)
    return tx.execute(query.values(next_at=next_at, caught_up=caught_up)).rowcount == 1


def _scheduled_job(row: Row[Any]) -> ScheduledJob:
    return ScheduledJob(
        id=row.id,
        definition=decode(JobDefinition, row.definition | {"secrets": row.secrets}),
        state=ScheduleState(row.state),
        created_at=row.created_at,
        created_by=row.created_by,
        next_at=row.next_at,
        caught_up=row.caught_up,
    )
