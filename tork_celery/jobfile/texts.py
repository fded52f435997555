"""Which texts are fit to be kept, and how values are shown in messages."""

import math
from typing import Any

from tork_celery.domain.identifiers import unfit_character

_LONGEST_SHOWN = 40


def unfit(text: str, *, one_line: bool) -> str | None:
    """What keeps `text` from being taken, if anything does. A text of one line has no control characters."""
    found = unfit_character(text, one_line=one_line)
    return f"must not contain the character {found}" if found else None


def shown(text: str) -> str:
    """The text in quotes, cut, with everything escaped that does not print."""
    return repr(text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "...")


def described(value: Any) -> str:
    """What a plain value is, for `expected a string, got ...`."""
    match value:
        case None:
            return "nothing"
        case bool():
            return f"the boolean {str(value).lower()}"
        case int() | float():
            return f"the number {value}" if math.isfinite(value) else "a number too large to be read"
        case str():
            return f"the string {shown(value)}"
        case list():
            return "a list"
    return "a mapping"
