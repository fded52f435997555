"""Log parts as lines: parts may begin and end inside a line, and lines of several tasks are mixed."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tork_celery.cli.client import Document
from tork_celery.cli.shown_text import parse_time

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_COLOR = re.compile(r"\x1b\[[0-9;:]*m")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line without its end. `time` is when it began, or a time shortly after that."""

    task_id: str
    time: datetime
    text: str
    system: bool = False

    def time_text(self) -> str:
        return self.time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(slots=True)
class _OpenLine:
    time: datetime
    texts: list[str] = field(default_factory=list)


class LineAssembler:
    """Makes lines of the parts of a log, which come in order."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, bool], _OpenLine] = {}

    def lines(self, parts: Iterable[Document]) -> Iterator[LogLine]:
        """Yield the lines that end in the parts."""
        for part in parts:
            yield from self._of_part(part)

    def rest(self) -> Iterator[LogLine]:
        """Yield the lines that have no end: those before the end of a log or of what is there of it."""
        for (task_id, system), line in self._open.items():
            yield LogLine(task_id=task_id, time=line.time, text="".join(line.texts), system=system)
        self._open.clear()

    def _of_part(self, part: Document) -> Iterator[LogLine]:
        task_id, system = part["taskId"], part.get("source") == "system"
        begin = parse_time(part["createdAt"])
        times = iter(part.get("times", ()))
        open_line = self._open.pop((task_id, system), None)
        *complete, rest = part["contents"].split("\n")
        for text in complete:
            line = open_line or _OpenLine(_next_time(begin, times))
            open_line = None
            yield LogLine(task_id=task_id, time=line.time, text="".join([*line.texts, text]), system=system)
        if rest or open_line:
            line = open_line or _OpenLine(_next_time(begin, times))
            line.texts.append(rest)
            self._open[task_id, system] = line


def for_terminal(text: str) -> str:
    """Return a line as a terminal would show it when it was printed: a bar that redrew itself is its last
    state. Colours stay; other escape sequences and control characters are removed."""
    colored = _ESCAPES.sub(lambda found: found[0] if _COLOR.fullmatch(found[0]) else "", text)
    drawn = [_CONTROL.sub("", piece) for piece in colored.split("\r")]
    last = next((piece for piece in reversed(drawn) if piece), "")
    return f"{last}\x1b[0m" if "\x1b" in last else last


def without_escapes(text: str) -> str:
    """Return the same without colours."""
    return _ESCAPES.sub("", for_terminal(text))


def _next_time(begin: datetime, times: Iterator[int]) -> datetime:
    return begin + timedelta(milliseconds=next(times, 0))
