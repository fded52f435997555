"""Dates by example, as Go has it: a layout says how January 2nd 2006, 15:04:05 -0700 would be written."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from tork_celery.expr import limits
from tork_celery.expr.errors import Fault

RFC3339 = "2006-01-02T15:04:05Z07:00"
RFC3339_NANO = "2006-01-02T15:04:05.999999999Z07:00"
# What date() tries in turn when it is given no layout.
KNOWN = (
    "2006-01-02",
    "15:04:05",
    "2006-01-02 15:04:05",
    RFC3339,
    "02 Jan 06 15:04 MST",
    "Monday, 02-Jan-06 15:04:05 MST",
    "Mon, 02 Jan 2006 15:04:05 MST",
)
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_PART = re.compile(
    r"January|Jan|Monday|Mon|MST|2006|Z07:00|Z0700|Z07|-07:00|-0700|-07|002|01|02|03|04|05|06|_2|15"
    r"|[12345]|PM|pm|[.,](?:0+|9+)(?![0-9])",
)
_NOON = 12
_CENTURY_TURN = 69


def _offset(moment: datetime, form: str) -> str:
    minutes = int((moment.utcoffset() or timedelta()).total_seconds() // 60)
    if form[0] == "Z" and not minutes:
        return "Z"
    hours, rest = divmod(abs(minutes), 60)
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{hours:02d}" + {"7": "", "0": f"{rest:02d}", ":": f":{rest:02d}"}[_style(form)]


def _style(form: str) -> str:
    return ":" if ":" in form else "0" if form.endswith("0700") else "7"


def _fraction(moment: datetime, form: str) -> str:
    digits = f"{moment.microsecond:06d}".ljust(len(form) - 1, "0")[: len(form) - 1]
    if form[1] == "9":
        digits = digits.rstrip("0")
        return form[0] + digits if digits else ""
    return form[0] + digits


def _half_day(moment: datetime) -> int:
    return moment.hour % _NOON or _NOON


_WRITE: dict[str, Callable[[datetime], str]] = {
    "January": lambda t: MONTHS[t.month - 1],
    "Jan": lambda t: MONTHS[t.month - 1][:3],
    "Monday": lambda t: DAYS[t.weekday()],
    "Mon": lambda t: DAYS[t.weekday()][:3],
    "MST": lambda t: t.tzname() or "UTC",
    "2006": lambda t: f"{t.year:04d}",
    "06": lambda t: f"{t.year % 100:02d}",
    "002": lambda t: f"{t.timetuple().tm_yday:03d}",
    "01": lambda t: f"{t.month:02d}",
    "1": lambda t: str(t.month),
    "02": lambda t: f"{t.day:02d}",
    "_2": lambda t: f"{t.day:2d}",
    "2": lambda t: str(t.day),
    "15": lambda t: f"{t.hour:02d}",
    "03": lambda t: f"{_half_day(t):02d}",
    "3": lambda t: str(_half_day(t)),
    "04": lambda t: f"{t.minute:02d}",
    "4": lambda t: str(t.minute),
    "05": lambda t: f"{t.second:02d}",
    "5": lambda t: str(t.second),
    "PM": lambda t: "PM" if t.hour >= _NOON else "AM",
    "pm": lambda t: "pm" if t.hour >= _NOON else "am",
}


def formatted(moment: datetime, layout: str) -> str:
    """A time written the way of the layout."""
    return _PART.sub(lambda part: _written(moment, part[0]), _bounded(layout))


def _bounded(layout: str) -> str:
    if len(layout) > limits.LAYOUT_CHARS:
        raise Fault(f"the layout is longer than {limits.LAYOUT_CHARS} characters")
    return layout


def _written(moment: datetime, part: str) -> str:
    if part in _WRITE:
        return _WRITE[part](moment)
    return _fraction(moment, part) if part[0] in ".," else _offset(moment, part)


# How each part reads. A number takes all the digits that it can, as in Go, and gives none back.
_TWO, _ONE_OR_TWO = r"([0-9]{2})", r"([0-9]{1,2}+)"
_READ = {
    "January": "(" + "|".join(MONTHS) + ")",
    "Jan": "(" + "|".join(name[:3] for name in MONTHS) + ")",
    "Monday": "(" + "|".join(DAYS) + ")",
    "Mon": "(" + "|".join(name[:3] for name in DAYS) + ")",
    "MST": r"([A-Z]{3,5}+(?:[+-][0-9]{1,2}+)?+)",
    "2006": r"([0-9]{4})",
    "002": r"([0-9]{3})",
    "_2": r" ?+([0-9]{1,2}+)",
    "15": _TWO,
    "PM": "(AM|PM)",
    "pm": "(am|pm)",
    "Z07:00": r"(Z|[+-][0-9]{2}:[0-9]{2})",
    "Z0700": r"(Z|[+-][0-9]{4})",
    "Z07": r"(Z|[+-][0-9]{2})",
    "-07:00": r"([+-][0-9]{2}:[0-9]{2})",
    "-0700": r"([+-][0-9]{4})",
    "-07": r"([+-][0-9]{2})",
    **dict.fromkeys(("01", "02", "03", "04", "06"), _TWO),
    **dict.fromkeys(("1", "2", "3", "4"), _ONE_OR_TWO),
    "05": _TWO + r"(?:[.,][0-9]++)?+",
    "5": _ONE_OR_TWO + r"(?:[.,][0-9]++)?+",
}


def parsed(text: str, layout: str, zone: tzinfo | None) -> datetime:
    """The time that a text tells in the way of the layout, in the zone unless the text names another.

    Raises Fault when the text does not follow the layout, or tells of no such time.
    """
    pattern, parts = "", []
    end = 0
    for part in _PART.finditer(_bounded(layout)):
        pattern += re.escape(layout[end : part.start()]) + _reading(part[0], layout[part.end() :])
        parts.append(part[0])
        end = part.end()
    match = re.fullmatch(pattern + re.escape(layout[end:]), text, re.IGNORECASE)
    if not match:
        raise Fault("the text does not follow the layout of the date")
    try:
        return _Reading(dict(zip(parts, match.groups(), strict=True))).moment(zone)
    except (ValueError, OverflowError):
        raise Fault("there is no such date") from None


def _reading(part: str, rest: str) -> str:
    if part[0] in ".,":
        return rf"([.,][0-9]{{{len(part) - 1}}})" if part[1] == "0" else r"((?:[.,][0-9]++)?+)"
    fraction_follows = part in {"05", "5"} and rest[:1] in {".", ","}
    return (_TWO if part == "05" else _ONE_OR_TWO) if fraction_follows else _READ[part]


class _Reading:
    def __init__(self, found: dict[str, str]) -> None:
        self._found = found

    def moment(self, zone: tzinfo | None) -> datetime:
        moment = datetime(
            self._year(),
            self._month(),
            self._number("02", "2", "_2", default=1),
            self._hour(),
            self._number("04", "4"),
            self._number("05", "5"),
            self._microseconds(),
            tzinfo=self._zone() or zone or UTC,
        )
        days = self._number("002", default=0)
        return moment + timedelta(days=days - 1) if days else moment

    def _first(self, *parts: str) -> str | None:
        return next((self._found[part] for part in parts if part in self._found), None)

    def _number(self, *parts: str, default: int = 0) -> int:
        return int(self._first(*parts) or default)

    def _year(self) -> int:
        short = self._first("06")
        if short:
            return int(short) + (1900 if int(short) >= _CENTURY_TURN else 2000)
        # Python has no year 0, which is what a time of day alone is in for Go.
        return self._number("2006", default=1)

    def _month(self) -> int:
        name = self._first("January", "Jan")
        if name:
            starts = [month[:3].lower() for month in MONTHS]
            return starts.index(name[:3].lower()) + 1
        return self._number("01", "1", default=1)

    def _hour(self) -> int:
        half = self._first("PM", "pm")
        hour = self._number("15", "03", "3")
        if not half:
            return hour
        return hour % _NOON + (_NOON if half.lower() == "pm" else 0)

    def _microseconds(self) -> int:
        fraction = next((text for part, text in self._found.items() if part[0] in ".,"), "")
        return int(fraction[1:7].ljust(6, "0")) if fraction else 0

    def _zone(self) -> tzinfo | None:
        for part, text in self._found.items():
            if part == "MST":
                return UTC if text.upper() == "UTC" else timezone(timedelta(), text)
            if part.endswith(("07", "00")) and part[0] in "Z-":
                return UTC if text.upper() == "Z" else _fixed(text)
        return None


def _fixed(text: str) -> tzinfo:
    digits = text[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset)
