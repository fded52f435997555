"""Log parts, made of the pieces of a step's output."""

from typing import NamedTuple

from tork_celery.domain.logs import LineRun, LogPart, LogPosition, LogSource
from tork_celery.runtime.protocol import Stream

PART_BYTES = 64 * 1024
_WIDEST_CHARACTER_BYTES = 4  # in UTF-8


class Piece(NamedTuple):
    """A piece of output that arrived at one time, in seconds of the monotonic clock."""

    stream: Stream
    text: str
    arrived_s: float

    @property
    def source(self) -> LogSource:
        return LogSource.SYSTEM if self.stream is Stream.NOTE else LogSource.CONTAINER

    def with_text(self, text: str) -> "Piece":
        return Piece(self.stream, text, self.arrived_s)


class PartBuilder:
    """Joins pieces of one source into a log part."""

    def __init__(self, position: LogPosition, first: Piece) -> None:
        """Begin a part at `position`. `first` is its first piece, which is still to be added."""
        self.began_s = first.arrived_s
        self.source = first.source
        self.room = PART_BYTES
        self._is_open = position.open_source is self.source
        broken = position.open_source is not None and not self._is_open
        self._first_line = self._line = position.line + broken
        self._counts = {
            Stream.STDOUT: (position.stdout_lines, position.stdout_open),
            Stream.STDERR: (position.stderr_lines, position.stderr_open),
            Stream.NOTE: (0, 0),
        }
        self._texts: list[str] = []
        self._length = 0
        self._stderr: list[tuple[int, int]] = []
        self._line_times: list[LineRun] = []

    def fits(self, piece: Piece) -> bool:
        return self.room > 0 and piece.source is self.source

    def add(self, piece: Piece) -> Piece | None:
        """Add as much of a piece as fits, up to the end of a line if possible. Return the rest."""
        fitting, rest = _split(piece.text, self.room)
        self.room = 0 if rest else self.room - _bytes_at_most(fitting)
        if fitting:
            self._count(piece.stream, fitting, piece.arrived_s)
            self._texts.append(fitting)
        return piece.with_text(rest) if rest else None

    def part(self, *, task_id: str, step: int, step_name: str | None) -> LogPart:
        """Return the part. `position` of it is where the next part begins."""
        (stdout_lines, stdout_open), (stderr_lines, stderr_open) = (
            self._counts[Stream.STDOUT],
            self._counts[Stream.STDERR],
        )
        return LogPart(
            task_id=task_id,
            step=step,
            step_name=step_name,
            source=self.source,
            contents="".join(self._texts),
            line=self._first_line,
            stderr=tuple(self._stderr),
            line_times=tuple(self._line_times),
            position=LogPosition(
                stdout_lines=stdout_lines,
                stdout_open=stdout_open,
                stderr_lines=stderr_lines,
                stderr_open=stderr_open,
                line=self._line,
                open_source=self.source if self._is_open else None,
            ),
        )

    def _count(self, stream: Stream, text: str, arrived_s: float) -> None:
        newlines, ends_line = text.count("\n"), text.endswith("\n")
        self._add_line_times(newlines + (not self._is_open) - ends_line, arrived_s)
        self._line += newlines
        self._is_open = not ends_line
        lines, open_characters = self._counts[stream]
        if newlines:
            open_characters = -text.rfind("\n") - 1
        self._counts[stream] = lines + newlines, open_characters + len(text)
        self._add_range(stream, len(text))

    def _add_line_times(self, lines: int, arrived_s: float) -> None:
        if not lines:
            return
        after_ms = max(0, int((arrived_s - self.began_s) * 1000))
        if self._line_times and self._line_times[-1].after_ms == after_ms:
            lines += self._line_times.pop().lines
        self._line_times.append(LineRun(lines, after_ms))

    def _add_range(self, stream: Stream, length: int) -> None:
        start, self._length = self._length, self._length + length
        if stream is Stream.STDERR:
            if self._stderr and self._stderr[-1][1] == start:
                start, _ = self._stderr.pop()
            self._stderr.append((start, self._length))


def _bytes_at_most(text: str) -> int:
    return len(text) if text.isascii() else len(text) * _WIDEST_CHARACTER_BYTES


def _split(text: str, room: int) -> tuple[str, str]:
    """Split `text` into what fits into `room` bytes, up to the end of a line if possible, and the rest."""
    if _bytes_at_most(text) <= room:
        return text, ""
    fitting = room if text[:room].isascii() else room // _WIDEST_CHARACTER_BYTES
    line = text.rfind("\n", 0, fitting) + 1
    if not line and room < PART_BYTES:
        return "", text  # start a new part with this text
    return text[: line or fitting], text[line or fitting :]
