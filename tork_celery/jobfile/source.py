"""A document read from YAML or JSON: its values and their positions, and how messages show both."""

import json
import math
import re
from typing import Any, NamedTuple, Protocol

from tork_celery.domain.errors import Fault

Path = tuple[str | int, ...]

MAX_LEVELS = 32
TOO_DEEP = f"nested deeper than {MAX_LEVELS} levels"
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,60}", re.ASCII)
_MAX_KEY_SHOWN = 60
_MAX_TEXT_SHOWN = 40


class Mark(Protocol):
    """A position as PyYAML reports it, counted from 0."""

    line: int
    column: int


class Scalar(NamedTuple):
    """A number or boolean, with the characters that stand for it in the document.

    Where a string is expected, `012`, `1.50` and `True` are these characters.
    """

    value: bool | float
    text: str


class Position(NamedTuple):
    """The position of a key or list item, counted from 0, and the positions inside its value.

    `inner` maps keys or lists items to positions; it is None for a scalar. Inner positions are bare tuples: a
    document may have a million of them, and the garbage collector does not track tuples of plain numbers.
    """

    line: int
    column: int
    inner: Any


class Source(NamedTuple):
    """A document's value. `position` is None where the format has no use for lines (JSON)."""

    value: Any
    position: Position | None = None

    def fault(self, path: Path, message: str) -> Fault:
        """Return a fault at the key or item that `path` leads to, or at its nearest ancestor in the text."""
        if self.position is None:
            return Fault(path_text(path), message)
        line, column, inner = self.position
        for step in path:
            try:
                line, column, inner = inner[step]
            except (IndexError, KeyError, TypeError):
                break
        return Fault(path_text(path), message, line + 1, column + 1)


def path_text(path: Path) -> str:
    """Return `tasks[2].env["A B"]` for `("tasks", 2, "env", "A B")`. Cut and escape keys for printing."""
    return "".join(_part_text(part) for part in path).removeprefix(".")


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Return the line and column of `offset`, counted from 1."""
    before = text[:offset]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def quote(text: str) -> str:
    """Return the text in quotes, cut to 40 characters, with unprintable characters escaped."""
    return repr(text if len(text) <= _MAX_TEXT_SHOWN else text[:_MAX_TEXT_SHOWN] + "...")


def describe(value: Any) -> str:
    """Return type and value as messages name them: `the number 5`, `a list`."""
    value = plain_value(value)
    match value:
        case None:
            return "null"
        case bool():
            return f"the boolean {str(value).lower()}"
        case int() | float():
            return f"the number {value}" if math.isfinite(value) else "a number out of range"
        case str():
            return f"the string {quote(value)}"
        case list():
            return "a list"
    return "a mapping"


def plain_value(value: Any) -> Any:
    """Return the value, or the plain value of a `Scalar`."""
    return value.value if isinstance(value, Scalar) else value


def plain_values(document: Any) -> Any:
    """Return a document without `Scalar`s."""
    if isinstance(document, dict):
        return {key: plain_values(value) for key, value in document.items()}
    if isinstance(document, list):
        return [plain_values(value) for value in document]
    return plain_value(document)


def _part_text(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    if _PLAIN_KEY.fullmatch(part):
        return f".{part}"
    return f"[{json.dumps(part[:_MAX_KEY_SHOWN])}]"
