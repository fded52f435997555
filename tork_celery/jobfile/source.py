"""What a reader made of a text: plain values, and where each of them stood."""

import json
import re
from typing import Any, NamedTuple, Protocol

from tork_celery.domain.errors import Fault

Path = tuple[str | int, ...]

MOST_LEVELS = 32
TOO_DEEP = f"nested deeper than {MOST_LEVELS} levels"
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,60}", re.ASCII)
_LONGEST_KEY_SHOWN = 60


class Mark(Protocol):
    """A position, counted from 0, as PyYAML gives it."""

    line: int
    column: int


class Place(NamedTuple):
    """Where a key or a list's item stands, from 0, and the places in its value: by key, by index, or None.

    The places inside are bare tuples, since there may be a million of them, and made of nothing that
    the garbage collector would have to visit.
    """

    line: int
    column: int
    inner: Any


class Source(NamedTuple):
    """A document's value. `place` is None where the format has no use for places (JSON)."""

    value: Any
    place: Place | None = None

    def fault(self, path: Path, message: str) -> Fault:
        """With the place of what `path` leads to: its key or item, or the nearest thing around it."""
        if self.place is None:
            return Fault(path_text(path), message)
        line, column, inner = self.place
        for step in path:
            try:
                line, column, inner = inner[step]
            except (IndexError, KeyError, TypeError):
                break
        return Fault(path_text(path), message, line + 1, column + 1)


def path_text(path: Path) -> str:
    """`("tasks", 2, "env", "A B")` is `tasks[2].env["A B"]`; safe to print, and not long."""
    return "".join(_part_text(part) for part in path).removeprefix(".")


def position(text: str, offset: int) -> tuple[int, int]:
    """The line and column, from 1, of an offset in `text`."""
    before = text[:offset]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _part_text(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    if _PLAIN_KEY.fullmatch(part):
        return f".{part}"
    return f"[{json.dumps(part[:_LONGEST_KEY_SHOWN])}]"
