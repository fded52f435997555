"""Lengths of time to the nanosecond, and named numbers such as months: kinds of value that Python lacks."""

from dataclasses import dataclass

from tork_celery.expr import go_duration, limits
from tork_celery.expr.errors import Fault

_HOUR, _MINUTE, _SECOND = 3_600_000_000_000, 60_000_000_000, 1_000_000_000
_SMALL_UNITS = ((1_000_000, "ms"), (1_000, "µs"), (1, "ns"))


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A length of time; it has 64 bits of nanoseconds and wraps around as integers do."""

    nanoseconds: int

    def __post_init__(self) -> None:
        if not limits.INT_MIN <= self.nanoseconds <= limits.INT_MAX:
            object.__setattr__(self, "nanoseconds", wrapped(self.nanoseconds))

    def __str__(self) -> str:
        """As Go writes it: `1h30m0s`, `1.5s`, `0s`."""
        sign, rest = ("-", -self.nanoseconds) if self.nanoseconds < 0 else ("", self.nanoseconds)
        if 0 < rest < _SECOND:
            return sign + _small(rest)
        hours, rest = divmod(rest, _HOUR)
        minutes, rest = divmod(rest, _MINUTE)
        text = f"{_decimal(rest, _SECOND)}s"
        if hours or minutes:
            text = f"{minutes}m{text}"
        return sign + (f"{hours}h{text}" if hours else text)


def _small(nanoseconds: int) -> str:
    unit, name = next(unit for unit in _SMALL_UNITS if nanoseconds >= unit[0])
    return f"{_decimal(nanoseconds, unit)}{name}"


def _decimal(nanoseconds: int, unit: int) -> str:
    whole, rest = divmod(nanoseconds, unit)
    fraction = str(rest).rjust(len(str(unit)) - 1, "0").rstrip("0") if rest else ""
    return f"{whole}.{fraction}" if fraction else str(whole)


def parse(text: str) -> Duration:
    """The duration that Go reads in a text like `-1h30m`; raises Fault where Go refuses."""
    negative, bare = text.startswith("-"), text[1:] if text[:1] in {"+", "-"} else text
    try:
        nanoseconds = go_duration.nanoseconds(bare)
    except ValueError:
        raise Fault("the text is not a duration; write it like 1h30m, 500ms or 2.5s") from None
    return Duration(-nanoseconds if negative else nanoseconds)


@dataclass(frozen=True, slots=True)
class Named:
    """A number that reads as a name: a month, a day of the week."""

    kind: str
    number: int
    name: str

    def __str__(self) -> str:
        return self.name


def wrapped(number: int) -> int:
    """What 64 bits keep of a number."""
    return (number - limits.INT_MIN) % 2**64 + limits.INT_MIN
