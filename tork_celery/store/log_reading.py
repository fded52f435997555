"""Log parts in order, from a position on."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Column, ColumnElement, Connection, func, select

from tork_celery.domain.logs import LogPart
from tork_celery.store.logs import PARTS, log_part
from tork_celery.store.tables import log_parts

_COUNTED_PARTS = 500
_LONGEST_INDEX = 9  # digits of the index of a step


@dataclass(frozen=True, slots=True)
class Log:
    """Log parts in the order of `key`, which an index has."""

    condition: ColumnElement[bool]
    key: Column[int]


def of_task(task_id: str, step: str | None = None) -> Log:
    """Return the log of one attempt, of a step if one is given by index or name. The key is `number`."""
    return Log(_of_step(log_parts.c.task_id == task_id, step), log_parts.c.number)


def of_job(job_id: str, step: str | None = None) -> Log:
    """Return the log of all tasks of a job. The key is `seq`."""
    return Log(_of_step(log_parts.c.job_id == job_id, step), log_parts.c.seq)


def after(tx: Connection, log: Log, key: int, *, limit: int) -> Sequence[LogPart]:
    """Return the first parts after a key."""
    query = PARTS.where(log.condition, log.key > key).order_by(log.key).limit(limit)
    return [log_part(row) for row in tx.execute(query)]


def before_lines(tx: Connection, log: Log, lines: int) -> tuple[int, int]:
    """Return the last key after which parts have at least this number of newlines.

    If the whole log has fewer, return 0. The second value is the number of newlines that are missing then.
    """
    newlines = func.length(log_parts.c.contents) - func.length(func.replace(log_parts.c.contents, "\n", ""))
    query = select(log.key, newlines).where(log.condition).order_by(log.key.desc()).limit(_COUNTED_PARTS)
    counted = tx.execute(query).all()
    while counted:
        for key, number in counted:
            lines -= number
            if lines <= 0:
                return key - 1, 0
        counted = tx.execute(query.where(log.key < counted[-1][0])).all()
    return 0, lines


def _of_step(condition: ColumnElement[bool], step: str | None) -> ColumnElement[bool]:
    if step is None:
        return condition
    if step.isascii() and step.isdecimal() and len(step) <= _LONGEST_INDEX:
        return condition & (log_parts.c.step == int(step))
    return condition & (log_parts.c.step_name == step)
