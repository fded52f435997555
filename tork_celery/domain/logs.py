"""Where a reader stands in the output of a step."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPosition:
    """How much of a step's output has been stored: for each stream its whole lines, and the characters of
    the line that was open. Byte positions would not do: an engine's log replaces what is not UTF-8."""

    stdout_lines: int = 0
    stdout_open: int = 0
    stderr_lines: int = 0
    stderr_open: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPart:
    """A piece of what a task printed. `number` counts from 1 within the task; `position` is that of the
    step's output after it."""

    task_id: str
    step: int
    contents: str
    position: LogPosition
    number: int = 0
    created_at: float = 0.0
