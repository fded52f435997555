"""What tasks printed, in parts."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, Select, func, insert, select

from tork_celery.domain.logs import LogPart, LogPosition
from tork_celery.domain.model import StepRef
from tork_celery.store.database import datastore_now
from tork_celery.store.tables import log_parts


def add(tx: Connection, *, job_id: str, ref: StepRef, parts: Sequence[LogPart]) -> None:
    """Append parts to the log of a task, numbered on from its last one."""
    if not parts:
        return
    _take_turns(tx, ref.task_id)
    last = tx.scalar(
        select(func.coalesce(func.max(log_parts.c.number), 0)).where(log_parts.c.task_id == ref.task_id)
    )
    now = tx.scalar(select(datastore_now()))
    tx.execute(
        insert(log_parts),
        [
            {
                "job_id": job_id,
                "task_id": ref.task_id,
                "number": (last or 0) + offset,
                "delivery": ref.delivery,
                "step": ref.step,
                "position": asdict(part.position),
                "contents": part.contents,
                "created_at": now,
            }
            for offset, part in enumerate(parts, start=1)
        ],
    )


def _take_turns(tx: Connection, task_id: str) -> None:
    """Two deliveries of a task, one of them superseded, may append at once. Its row is not locked for this:
    what renews the leases of many tasks would have to lock them in the same order."""
    if tx.dialect.name == "postgresql":  # on SQLite, writers take turns
        tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(task_id, 0))))


def position(tx: Connection, ref: StepRef) -> LogPosition:
    """How much of the step's output is stored."""
    query = (
        select(log_parts.c.position)
        .where(
            log_parts.c.task_id == ref.task_id,
            log_parts.c.delivery == ref.delivery,
            log_parts.c.step == ref.step,
        )
        .order_by(log_parts.c.number.desc())
        .limit(1)
    )
    stored = tx.scalar(query)
    return LogPosition(**stored) if stored else LogPosition()


def page_of_task(
    tx: Connection, task_id: str, *, number: int, size: int, text: str = ""
) -> tuple[list[LogPart], int]:
    """One page of the log of a task, newest part first, `number` from 1; and how many parts there are. With a
    `text`, of the parts that hold it, in small letters or capitals."""
    which = select(log_parts.c.seq).where(log_parts.c.task_id == task_id).order_by(log_parts.c.number.desc())
    return _page(tx, which, number=number, size=size, text=text)


def page_of_job(
    tx: Connection, job_id: str, *, number: int, size: int, text: str = ""
) -> tuple[list[LogPart], int]:
    """The same for all tasks of a job."""
    which = select(log_parts.c.seq).where(log_parts.c.job_id == job_id).order_by(log_parts.c.seq.desc())
    return _page(tx, which, number=number, size=size, text=text)


def _page(
    tx: Connection, which: Select[int], *, number: int, size: int, text: str
) -> tuple[list[LogPart], int]:
    """`which` are the parts in the order of an index: sorted, the contents of all of them would be read."""
    offset = (number - 1) * size
    if text:  # looked for once, for it takes long
        matches = tx.scalars(which.where(log_parts.c.contents.icontains(text, autoescape=True))).all()
        found, total = matches[offset : offset + size], len(matches)
    else:
        found = tx.scalars(which.limit(size).offset(offset)).all()
        total = tx.scalar(select(func.count()).select_from(which.order_by(None).subquery())) or 0
    query = select(log_parts).where(log_parts.c.seq.in_(found)).order_by(log_parts.c.seq.desc())
    return [_part(row) for row in tx.execute(query)], total


def _part(row: Row[Any]) -> LogPart:
    return LogPart(
        task_id=row.task_id,
        step=row.step,
        contents=row.contents,
        position=LogPosition(**row.position),
        number=row.number,
        created_at=row.created_at,
    )
