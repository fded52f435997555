"""Logs as plain text, read in chunks: the memory of a reader does not depend on the length of the log."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection

from tork_celery.domain.errors import NotFound
from tork_celery.domain.log_text import JobText, TaskText
from tork_celery.domain.logs import LogPart
from tork_celery.domain.masking import MaskedValues, task_values
from tork_celery.domain.model import Task
from tork_celery.services.context import ServiceContext
from tork_celery.store import Database, jobs, log_reading, tasks

_CHUNK_PARTS = 32  # of up to 64 KiB

Position = tuple[int, int]
"""The index of an attempt, and the key of a part in its log. `(0, 0)` is the beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextOptions:
    """What to show of a log.

    `step` is the index or the name of a step; None means all. `tail` is the number of lines to show, from the
    end; None means all lines. With `timestamps`, each line begins with the time of its arrival.
    """

    step: str | None = None
    tail: int | None = None
    timestamps: bool = False


class _Log(Protocol):
    """The stored parts of a log, in order."""

    def after(self, tx: Connection, position: Position) -> tuple[Sequence[LogPart], Position]:
        """Return the parts of a chunk, and the position after them. No parts: the end is reached."""

    def before_lines(self, tx: Connection, lines: int) -> Position:
        """Return a position with at least this number of newlines after it, or the beginning."""

    def new_text(self) -> TaskText | JobText:
        """Return the text of parts that follow each other from any position on."""


class TextLog:
    """The text of a log. For one thread at a time."""

    def __init__(self, database: Database, log: _Log, *, tail: int | None) -> None:
        self._database = database
        self._log = log
        self._text = log.new_text()
        self._tail = tail
        self._start: tuple[Position, int] | None = ((0, 0), 0) if tail is None else None
        self._position: Position = (0, 0)
        self._lines_to_skip = 0
        self._ended = False

    def read(self) -> bytes | None:
        """Return the next chunk, which may be empty; None after the last one.

        Raises DatastoreUnavailable. The next call continues where this one began.
        """
        if self._ended:
            return None
        with self._database.reading() as tx:
            start = self._start or self._find_tail(tx, self._tail or 0)
            position = self._position if self._start else start[0]
            parts, next_position = self._log.after(tx, position)
        if self._start is None:
            self._start, self._lines_to_skip = start, start[1]
        self._position, self._ended = next_position, not parts
        text = "".join(map(self._text.add, parts)) if parts else self._text.end()
        return self._without_skipped(text).encode()

    def _find_tail(self, tx: Connection, lines: int) -> tuple[Position, int]:
        """Return a position, and the number of lines after it to skip."""
        start = self._log.before_lines(tx, lines + 1)
        number, complete = 0, True
        for text in self._texts(tx, start):
            number += text.count("\n")
            complete = text.endswith("\n")
        return start, max(0, number + (not complete) - lines)

    def _texts(self, tx: Connection, position: Position) -> Iterator[str]:
        """Yield the texts from a position on that are not empty."""
        text = self._log.new_text()
        parts, position = self._log.after(tx, position)
        while parts:
            yield from filter(None, map(text.add, parts))
            parts, position = self._log.after(tx, position)
        if end := text.end():
            yield end

    def _without_skipped(self, text: str) -> str:
        start = 0
        while self._lines_to_skip and start < len(text):
            end = text.find("\n", start)
            if end < 0:
                return ""
            start = end + 1
            self._lines_to_skip -= 1
        return text[start:]


def of_task(context: ServiceContext, task_id: str, options: TextOptions) -> TextLog:
    """Return the log of a task: of the id of a first attempt, that of all attempts. Raises NotFound."""
    with context.database.reading() as tx:
        if not tasks.attempt_ids(tx, task_id):
            raise NotFound(f"no task with the id {task_id!r}")
    return TextLog(context.database, _TaskLog(task_id, options), tail=options.tail)


def of_job(context: ServiceContext, job_id: str, options: TextOptions) -> TextLog:
    """Return the log of all tasks of a job. Raises NotFound."""
    with context.database.reading() as tx:
        if jobs.state(tx, job_id) is None:
            raise NotFound(f"no job with the id {job_id!r}")
        mask = MaskedValues(jobs.secrets(tx, job_id))
    return TextLog(context.database, _JobLog(job_id, options, mask), tail=options.tail)


class _TaskLog:
    """The attempts of a task, one after the other."""

    def __init__(self, task_id: str, options: TextOptions) -> None:
        self._task_id = task_id
        self._options = options

    def after(self, tx: Connection, position: Position) -> tuple[Sequence[LogPart], Position]:
        first, key = position
        logs = self._attempts(tx)
        for attempt in range(first, len(logs)):
            if parts := log_reading.after(tx, logs[attempt], key, limit=_CHUNK_PARTS):
                return parts, (attempt, parts[-1].number)
            key = 0
        return (), position

    def before_lines(self, tx: Connection, lines: int) -> Position:
        logs = self._attempts(tx)
        for attempt in reversed(range(len(logs))):
            key, lines = log_reading.before_lines(tx, logs[attempt], lines)
            if not lines:
                return attempt, key
        return 0, 0

    def new_text(self) -> TaskText:
        return TaskText(timestamps=self._options.timestamps)

    def _attempts(self, tx: Connection) -> list[log_reading.Log]:
        step = self._options.step
        return [log_reading.of_task(attempt, step) for attempt in tasks.attempt_ids(tx, self._task_id)]


class _JobLog:
    """The tasks of a job, whose parts are in the order in which they were stored."""

    def __init__(self, job_id: str, options: TextOptions, values: MaskedValues) -> None:
        """`values` has the values of the job to mask."""
        self._log = log_reading.of_job(job_id, options.step)
        self._options = options
        self._values = values
        self._task_names: dict[str, str] = {}

    def after(self, tx: Connection, position: Position) -> tuple[Sequence[LogPart], Position]:
        parts = log_reading.after(tx, self._log, position[1], limit=_CHUNK_PARTS)
        if not parts:
            return (), position
        unnamed = {part.task_id for part in parts} - self._task_names.keys()
        self._task_names |= {task.id: self._name(task) for task in tasks.by_ids(tx, sorted(unnamed))}
        return parts, (0, parts[-1].seq)

    def before_lines(self, tx: Connection, lines: int) -> Position:
        key, _ = log_reading.before_lines(tx, self._log, lines)
        return 0, key

    def new_text(self) -> JobText:
        return JobText(self._name_of, timestamps=self._options.timestamps)

    def _name_of(self, task_id: str) -> str:
        return self._task_names.get(task_id, task_id)

    def _name(self, task: Task) -> str:
        masker = self._values.with_values(task_values(task.definition)).masker()
        return masker.mask(" ".join((task.definition.name or task.id).splitlines()))
