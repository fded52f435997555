"""The log of a task."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple


class LogSource(StrEnum):
    """The author of a log part: a container of the task, or the system."""

    CONTAINER = "container"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPosition:
    """Position up to which the output of a step is stored.

    For each stream: the number of complete lines, and the number of characters of the incomplete line after
    them. Positions are not bytes, because the log of an engine replaces bytes that are not UTF-8.

    `line` is the number of the line, of both streams and the system together, that the next character belongs
    to. If that line has begun, `open_source` has its author; a character of the other one begins a new line.
    """

    stdout_lines: int = 0
    stdout_open: int = 0
    stderr_lines: int = 0
    stderr_open: int = 0
    line: int = 1
    open_source: LogSource | None = None


class LineRun(NamedTuple):
    """Adjacent lines that began at the same time, in milliseconds after the beginning of their part."""

    lines: int
    after_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPart:
    """A part of the log of a task, of one step and one source.

    `line` is the number, from 1 within the step and delivery, of the line in which the part begins. `stderr`
    has the half-open ranges of `contents` that were printed to stderr. `line_times` has the lines that begin
    in the part; it is None if their times are unknown. `position` is the one after this part.

    The store sets `number`, which counts from 1 within the task, `seq`, which grows over all tasks, and
    `created_at`: `age_s` seconds before the part is stored.
    """

    task_id: str
    step: int
    contents: str
    position: LogPosition
    step_name: str | None = None
    line: int = 1
    source: LogSource = LogSource.CONTAINER
    stderr: Sequence[tuple[int, int]] = ()
    line_times: Sequence[LineRun] | None = None
    age_s: float = 0.0
    number: int = 0
    seq: int = 0
    created_at: float = 0.0

    @property
    def times_ms(self) -> list[int] | None:
        """The beginning of each line that begins in the part, in milliseconds after `created_at`."""
        if self.line_times is None:
            return None
        return [run.after_ms for run in self.line_times for _ in range(run.lines)]

    def from_line(self, skip: int) -> "LogPart":
        """Return the part without its first `skip` characters, after which a line begins."""
        contents = self.contents[skip:]
        begin = contents.count("\n") + (not contents.endswith("\n"))  # lines that begin in the rest
        times = None if self.times_ms is None else self.times_ms[-begin:]
        return replace(
            self,
            contents=contents,
            line=self.line + self.contents.count("\n", 0, skip),
            stderr=[(max(0, start - skip), end - skip) for start, end in self.stderr if end > skip],
            line_times=None if times is None else [LineRun(1, after_ms) for after_ms in times],
        )
