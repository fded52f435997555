"""What a reader made of a text: plain values, and where each of them stood."""

import json
import re
from typing import Any, NamedTuple

from tork_celery.domain.errors import Fault

Path = tuple[str | int, ...]

MOST_LEVELS = 32
TOO_DEEP = f"nested deeper than {MOST_LEVELS} levels"
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,60}", re.ASCII)
_LONGEST_KEY_SHOWN = 60


class Place(NamedTuple):
    """Where a key or a list's item stands, from 1, and where the values inside of it do."""

    line: int
    column: int
    inner: Any = None  # a dict of places by key, or a list of places


class Source(NamedTuple):
    """A document's value. `place` is None where the format has no use for places (JSON)."""

    value: Any
    place: Place | None = None

    def locate(self, path: Path) -> Place | None:
        """The place of what `path` leads to: its key or item, or of the nearest thing around it."""
        place = self.place
        for part in path:
            try:
                place = place.inner[part]  # type: ignore[union-attr] # None is what the except is for
            except (AttributeError, IndexError, KeyError, TypeError):
                break
        return place

    def fault(self, path: Path, message: str) -> Fault:
        place = self.locate(path)
        return Fault(
            path=path_text(path),
            message=message,
            line=place.line if place else None,
            column=place.column if place else None,
        )


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
