"""Which texts are fit to be kept, and how values are shown in messages."""

import math
import re
from typing import Any

_LONGEST_SHOWN = 40
# No datastore and no environment of a process holds NUL; lone surrogates cannot be encoded at all.
_UNFIT = re.compile("[\x00\ud800-\udfff]")
_UNFIT_IN_A_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def unfit(text: str, *, one_line: bool) -> str | None:
    """What keeps `text` from being taken, if anything does. A text of one line has no control characters."""
    found = (_UNFIT_IN_A_LINE if one_line else _UNFIT).search(text)
    return f"must not contain the character U+{ord(found[0]):04X}" if found else None


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
