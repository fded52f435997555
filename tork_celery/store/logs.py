"""Log parts: the stored output of tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, insert, select

from tork_celery.domain.logs import LineRun, LogPart, LogPosition, LogSource
from tork_celery.domain.model import StepRef
from tork_celery.store.database import datastore_now
from tork_celery.store.tables import log_parts

PARTS: Select[Any] = select(
    log_parts.c.seq,
    log_parts.c.task_id,
    log_parts.c.step,
    log_parts.c.step_name,
    log_parts.c.line,
    log_parts.c.source,
    log_parts.c.contents,
    log_parts.c.stderr,
    log_parts.c.line_times,
    log_parts.c.position,
    log_parts.c.number,
    log_parts.c.created_at,
)
"""Selects the columns that `log_part` needs."""


def add(tx: Connection, *, job_id: str, ref: StepRef, parts: Sequence[LogPart]) -> None:
    """Append parts to the log of a task. Numbers continue from its last part."""
    if not parts:
        return
    _lock_log(tx, ref.task_id)
    last = tx.scalar(
        select(func.coalesce(func.max(log_parts.c.number), 0)).where(log_parts.c.task_id == ref.task_id)
    )
    now = tx.scalars(select(datastore_now())).one()
    tx.execute(
        insert(log_parts),
        [
            {
                "job_id": job_id,
                "task_id": ref.task_id,
                "number": (last or 0) + offset,
                "delivery": ref.delivery,
                "step": part.step,
                "step_name": part.step_name,
                "line": part.line,
                "source": part.source,
                "position": asdict(part.position),
                "contents": part.contents,
                "stderr": part.stderr or None,
                "line_times": part.line_times,
                "created_at": now - part.age_s,
            }
            for offset, part in enumerate(parts, start=1)
        ],
    )


def _lock_log(tx: Connection, task_id: str) -> None:
    """Serialize appends: a superseded delivery of a task may append at the same time as the current one.

    An advisory lock, because a lock on the task's row could deadlock with the renewal of many leases.
    """
    if tx.dialect.name == "postgresql":  # SQLite has one writer at a time
        tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(task_id, 0))))


def position(tx: Connection, ref: StepRef) -> LogPosition:
    """Return the position up to which the output of a step is stored."""
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
    return _position(stored) if stored else LogPosition()


def page_of_task(
    tx: Connection, task_id: str, *, number: int, size: int, text: str = ""
) -> tuple[list[LogPart], int]:
    """Return page `number` (from 1) of the log of a task, newest part first, and the total number of parts.

    With a `text`, only the parts that contain it (case-insensitive) are counted and returned.
    """
    seqs = select(log_parts.c.seq).where(log_parts.c.task_id == task_id).order_by(log_parts.c.number.desc())
    return _page(tx, seqs, number=number, size=size, text=text)


def page_of_job(
    tx: Connection, job_id: str, *, number: int, size: int, text: str = ""
) -> tuple[list[LogPart], int]:
    """Return a page of the log of all tasks of a job, as `page_of_task` does."""
    seqs = select(log_parts.c.seq).where(log_parts.c.job_id == job_id).order_by(log_parts.c.seq.desc())
    return _page(tx, seqs, number=number, size=size, text=text)


def _page(
    tx: Connection, seqs: Select[int], *, number: int, size: int, text: str
) -> tuple[list[LogPart], int]:
    """Return a page of the parts in `seqs`, which selects them in the order of an index.

    Sorting whole rows instead would read the contents of the entire log.
    """
    offset = (number - 1) * size
    if text:  # the search is slow, so one query serves both page and total
        matches = tx.scalars(seqs.where(_contains(tx, text))).all()
        query, total = PARTS.where(log_parts.c.seq.in_(matches[offset : offset + size])), len(matches)
    else:
        shown = seqs.limit(size).offset(offset).subquery()
        query = PARTS.join(shown, shown.c.seq == log_parts.c.seq)
        total = tx.scalar(select(func.count()).select_from(seqs.order_by(None).subquery())) or 0
    rows = sorted(tx.execute(query), key=attrgetter("seq"), reverse=True)
    return [log_part(row) for row in rows], total


def _contains(tx: Connection, text: str) -> ColumnElement[bool]:
    """Return whether a part contains a text, case-insensitive; SQLite's own functions fold ASCII only."""
    if tx.dialect.name == "sqlite":
        return func.contains_folded(log_parts.c.contents, text.casefold())
    return log_parts.c.contents.icontains(text, autoescape=True)


def log_part(row: Row[Any]) -> LogPart:
    position = _position(row.position)
    line = row.line
    if line is None:  # of a version that did not count the lines of the system
        line = max(1, position.line - row.contents.count("\n"))
    return LogPart(
        task_id=row.task_id,
        step=row.step,
        step_name=row.step_name,
        line=line,
        source=LogSource(row.source),
        contents=row.contents,
        stderr=[(start, end) for start, end in row.stderr or ()],
        line_times=None if row.line_times is None else [LineRun(*run) for run in row.line_times],
        position=position,
        number=row.number,
        seq=row.seq,
        created_at=row.created_at,
    )


def _position(stored: Mapping[str, Any]) -> LogPosition:
    if "line" not in stored:  # of a version that did not count the lines of both streams together
        position = LogPosition(**stored)
        is_open = bool(position.stdout_open or position.stderr_open)
        return replace(
            position,
            line=1 + position.stdout_lines + position.stderr_lines,
            open_source=LogSource.CONTAINER if is_open else None,
        )
    source = stored["open_source"]
    return LogPosition(**{**stored, "open_source": source and LogSource(source)})
