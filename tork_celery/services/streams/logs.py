"""Reading of the log of a task from any position, with all its attempts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from tork_celery.domain.codec import Document
from tork_celery.domain.logs import LogPart
from tork_celery.domain.states import ENDED_EARLY
from tork_celery.domain.streams import LogCursor
from tork_celery.services.streams.states import Event, event
from tork_celery.store import Database, followed_logs
from tork_celery.store.followed_logs import Attempt

PARTS_AT_A_TIME = 8
"""Parts of up to 64 KiB that are read at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogChunk:
    """The next parts of a log, each with the position after it.

    `end` means that there are no parts and never will be any. `settling` means that an attempt has ended
    early, and that its worker may still store some output.
    """

    parts: Sequence[tuple[LogCursor, LogPart]] = ()
    cursor: LogCursor
    end: bool = False
    settling: bool = False
    attempts: frozenset[str] = frozenset()


class LogReader:
    """Reads logs. A worker stores all output of a step that it kills within `settle_s`. Thread-safe."""

    def __init__(
        self, database: Database, *, settle_s: float, log_part: Callable[[LogPart], Document]
    ) -> None:
        """`log_part` serializes a part."""
        self._database = database
        self._settle_s = settle_s
        self._log_part = log_part

    def event(self, part: LogPart) -> Event:
        """Return the event of a part."""
        return event("log", self._log_part(part))

    def begin(self, first_id: str, known: LogCursor | None, *, tail: int | None) -> tuple[LogCursor, int]:
        """Return where to begin: a position, and the number of characters to skip in the part after it.

        It is the `known` position if its part is stored, or before the last `tail` lines. Raises
        DatastoreUnavailable.
        """
        with self._database.reading() as tx:
            attempts = followed_logs.attempts(tx, first_id)
            if known and any(_has(tx, each, known) for each in attempts):
                return known, 0
            return (LogCursor(), 0) if tail is None else _before_last_lines(tx, attempts, tail)

    def read(self, first_id: str, cursor: LogCursor) -> LogChunk:
        """Return the parts after a position, in order. Raises DatastoreUnavailable.

        `first_id` is the first attempt of the task.
        """
        with self._database.reading() as tx:
            attempts = followed_logs.attempts(tx, first_id)
            ids = frozenset(each.id for each in attempts)
            now = self._database.now(tx)
            for attempt in attempts:
                if attempt.number < cursor.attempt:
                    continue
                after = cursor.number if attempt.number == cursor.attempt else 0
                cursor = LogCursor(attempt.number, after)
                if parts := followed_logs.parts_after(tx, attempt.id, after, limit=PARTS_AT_A_TIME):
                    placed = [(LogCursor(attempt.number, part.number), part) for part in parts]
                    return LogChunk(parts=placed, cursor=placed[-1][0], attempts=ids)
                settling = self._settles(attempt, now)
                if attempt.state.active or settling:
                    return LogChunk(cursor=cursor, settling=settling, attempts=ids)
        return LogChunk(cursor=cursor, end=True)

    def _settles(self, attempt: Attempt, now: float) -> bool:
        """Return whether output of an attempt that has ended may still be stored.

        The output of a step that ended by itself is stored with its outcome.
        """
        if attempt.state not in ENDED_EARLY or not attempt.started or attempt.ended_at is None:
            return False
        return now < attempt.ended_at + self._settle_s


def read_events(
    reader: LogReader, first_id: str, cursor: LogCursor, skip: int = 0
) -> tuple[LogChunk, list[tuple[LogCursor, Event]]]:
    """Return the parts after a position, and their events, the first without `skip` characters.

    Raises DatastoreUnavailable.
    """
    chunk = reader.read(first_id, cursor)
    parts = list(chunk.parts)
    if skip and parts:
        parts[0] = parts[0][0], parts[0][1].from_line(skip)
    return chunk, [(place, reader.event(part)) for place, part in parts]


def _has(tx: Connection, attempt: Attempt, cursor: LogCursor) -> bool:
    """Return whether a position is in an attempt, after a part that is stored."""
    if attempt.number != cursor.attempt:
        return False
    return cursor.number == 0 or followed_logs.has_part(tx, attempt.id, cursor.number)


def _before_last_lines(tx: Connection, attempts: Sequence[Attempt], lines: int) -> tuple[LogCursor, int]:
    """Return the position before the part in which the last lines begin, and what to skip in it."""
    is_last = True  # a newline at the end of the log begins no line
    for attempt in reversed(attempts):
        for number, contents in followed_logs.newest_contents(tx, attempt.id):
            text = contents.removesuffix("\n") if is_last else contents
            is_last = False
            newlines = text.count("\n")
            if newlines >= lines:
                before = text.rsplit("\n", lines)[0]
                return _after(attempt, number, len(before) + 1, len(contents))
            lines -= newlines
    return LogCursor(), 0


def _after(attempt: Attempt, number: int, skip: int, length: int) -> tuple[LogCursor, int]:
    """Return the place after `skip` characters of a part: in it or, if these are all, after it."""
    if skip == length:
        return LogCursor(attempt.number, number), 0
    return LogCursor(attempt.number, number - 1), skip
