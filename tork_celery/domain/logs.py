"""The log of a task."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPosition:
    """Position up to which the output of a step is stored.

    For each stream: the number of complete lines, and the number of characters of the incomplete line after
    them. Positions are not bytes, because the log of an engine replaces bytes that are not UTF-8.
    """

    stdout_lines: int = 0
    stdout_open: int = 0
    stderr_lines: int = 0
    stderr_open: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPart:
    """A part of the log of a task. `number` counts from 1; `position` is the one after this part."""

    task_id: str
    step: int
    contents: str
    position: LogPosition
    number: int = 0
    created_at: float = 0.0
