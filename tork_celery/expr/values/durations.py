"""Durations to the nanosecond, and their textual form in Go: `1h30m`, `500ms`, `2.5s`."""

import re
from dataclasses import dataclass
from fractions import Fraction

from tork_celery.expr.errors import LanguageError
from tork_celery.expr.values import int64

_HOUR, _MINUTE, _SECOND = 3_600_000_000_000, 60_000_000_000, 1_000_000_000
_SMALL_UNITS = ((1_000_000, "ms"), (1_000, "µs"), (1, "ns"))
_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, the micro sign
    "μs": 1_000,  # U+03BC, the Greek letter
    "ms": 1_000_000,
    "s": _SECOND,
    "m": _MINUTE,
    "h": _HOUR,
}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_LONGEST_TEXT = 128


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A duration; like Go's time.Duration it is a 64-bit integer that wraps around on overflow."""

    nanoseconds: int

    def __post_init__(self) -> None:
        if not int64.MIN <= self.nanoseconds <= int64.MAX:
            object.__setattr__(self, "nanoseconds", int64.wrap(self.nanoseconds))

    def __str__(self) -> str:
        """Return the form that Go writes: `1h30m0s`, `1.5s`, `0s`."""
        sign, rest = ("-", -self.nanoseconds) if self.nanoseconds < 0 else ("", self.nanoseconds)
        if 0 < rest < _SECOND:
            return sign + _below_a_second(rest)
        hours, rest = divmod(rest, _HOUR)
        minutes, rest = divmod(rest, _MINUTE)
        text = f"{_decimal(rest, _SECOND)}s"
        if hours or minutes:
            text = f"{minutes}m{text}"
        return sign + (f"{hours}h{text}" if hours else text)


def _below_a_second(nanoseconds: int) -> str:
    unit, name = next(unit for unit in _SMALL_UNITS if nanoseconds >= unit[0])
    return f"{_decimal(nanoseconds, unit)}{name}"


def _decimal(nanoseconds: int, unit: int) -> str:
    whole, rest = divmod(nanoseconds, unit)
    fraction = str(rest).rjust(len(str(unit)) - 1, "0").rstrip("0") if rest else ""
    return f"{whole}.{fraction}" if fraction else str(whole)


def parse_duration(text: str) -> Duration:
    """Parse a duration such as `-1h30m`. Raises LanguageError for a text that Go rejects."""
    is_negative, unsigned = text.startswith("-"), text[1:] if text[:1] in {"+", "-"} else text
    try:
        nanoseconds = parse_nanoseconds(unsigned)
    except ValueError:
        raise LanguageError("the text is not a duration; write it like 1h30m, 500ms or 2.5s") from None
    return Duration(-nanoseconds if is_negative else nanoseconds)


def parse_nanoseconds(text: str) -> int:
    """Return an unsigned duration such as `1h30m` in nanoseconds.

    Raises ValueError for a text that Go's time.ParseDuration rejects, and for a sign.
    """
    if text == "0":
        return 0
    total, position = Fraction(0), 0
    while text and len(text) <= _LONGEST_TEXT and (part := _PART.match(text, position)):
        total += Fraction(part[1].rstrip(".")) * _NANOSECONDS[part[2]]
        position = part.end()
    if not text or position != len(text) or total > int64.MAX:
        raise ValueError(f"{text[:40]!r} is not a duration; write it like 1h30m, 500ms or 2.5s")
    return int(total)
