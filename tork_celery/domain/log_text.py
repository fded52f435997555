"""Logs as plain text.

The output of a task is shown as it was printed. Lines of the system begin with `tork: `. In the log of a job,
each line is whole and begins with the name of its task.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tork_celery.domain.logs import LogPart, LogSource

MAX_OPEN_CHARACTERS = 32 * 1024 * 1024
"""Characters of incomplete lines that the text of a job holds. Beyond them the longest one is cut."""
_SYSTEM_PREFIX = "tork: "


class TaskText:
    """The text of a task's log, for parts that are added in order."""

    def __init__(self, *, timestamps: bool) -> None:
        self._timestamps = timestamps
        self._open: tuple[str, int, LogSource] | None = None

    def add(self, part: LogPart) -> str:
        """Return the text of the next part. A line that another step or source interrupts ends there."""
        author = (part.task_id, part.step, part.source)
        continues = self._open == author
        before = "" if continues or self._open is None else "\n"
        self._open = None if part.contents.endswith("\n") else author
        return before + _with_prefixes(part, continues=continues, timestamps=self._timestamps)

    def end(self) -> str:
        """Return the text after the last part."""
        return ""


@dataclass(slots=True)
class _OpenLine:
    text: TaskText
    pieces: list[str] = field(default_factory=list)
    length: int = 0


class JobText:
    """The text of a job's log, for parts that are added in the order in which they were stored."""

    def __init__(self, task_name: Callable[[str], str], *, timestamps: bool) -> None:
        """`task_name` returns the name of a task by its id."""
        self._task_name = task_name
        self._timestamps = timestamps
        self._lines: dict[str, _OpenLine] = {}
        self._open_characters = 0

    def add(self, part: LogPart) -> str:
        """Return the lines that end in the next part."""
        line = self._lines.setdefault(part.task_id, _OpenLine(TaskText(timestamps=self._timestamps)))
        text = line.text.add(part)
        end = text.rfind("\n") + 1
        complete = self._take(line) + text[:end] if end else ""
        self._hold(line, text[end:])
        cut = ""
        while self._open_characters > MAX_OPEN_CHARACTERS:
            cut += self._cut_longest()
        return self._named(part.task_id, complete) + cut

    def end(self) -> str:
        """Return the lines that no newline ends."""
        return "".join(
            self._named(task_id, self._take(line) + "\n")
            for task_id, line in self._lines.items()
            if line.length
        )

    def _hold(self, line: _OpenLine, text: str) -> None:
        if text:
            line.pieces.append(text)
            line.length += len(text)
            self._open_characters += len(text)

    def _take(self, line: _OpenLine) -> str:
        text = "".join(line.pieces)
        self._open_characters -= line.length
        line.pieces.clear()
        line.length = 0
        return text

    def _cut_longest(self) -> str:
        task_id, line = max(self._lines.items(), key=lambda item: item[1].length)
        return self._named(task_id, self._take(line) + "\n")

    def _named(self, task_id: str, lines: str) -> str:
        """Return complete lines behind the name of their task."""
        if not lines:
            return ""
        prefix = f"{self._task_name(task_id)} | "
        return prefix + lines[:-1].replace("\n", f"\n{prefix}") + "\n"


def _with_prefixes(part: LogPart, *, continues: bool, timestamps: bool) -> str:
    prefix = _SYSTEM_PREFIX if part.source is LogSource.SYSTEM else ""
    if timestamps:
        return _with_times(part, prefix, continues=continues)
    if not prefix:
        return part.contents
    lines, end = _without_last_newline(part.contents)
    return ("" if continues else prefix) + lines.replace("\n", f"\n{prefix}") + end


def _with_times(part: LogPart, prefix: str, *, continues: bool) -> str:
    text, end = _without_last_newline(part.contents)
    lines = text.split("\n")
    times_ms = part.times_ms or []
    # A part of an earlier version has no times, and one that begins within a line has none for that line.
    times_ms = [0] * (len(lines) - len(times_ms)) + times_ms
    known: dict[int, str] = {}
    prefixed = []
    for number, (line, after_ms) in enumerate(zip(lines, times_ms, strict=False)):
        if number == 0 and continues:
            prefixed.append(line)
            continue
        if after_ms not in known:
            known[after_ms] = f"{_time(part.created_at + after_ms / 1000)} {prefix}"
        prefixed.append(known[after_ms] + line)
    return "\n".join(prefixed) + end


def _without_last_newline(text: str) -> tuple[str, str]:
    return (text[:-1], "\n") if text.endswith("\n") else (text, "")


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
