"""Go's time layouts: a layout shows how January 2nd 2006, 15:04:05 -0700 would be written."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from tork_celery.expr import limits
from tork_celery.expr.errors import LanguageError
from tork_celery.expr.values.datetimes import MONTHS, WEEKDAYS

RFC3339 = "2006-01-02T15:04:05Z07:00"
RFC3339_NANO = "2006-01-02T15:04:05.999999999Z07:00"
DEFAULT_LAYOUTS = (
    "2006-01-02",
    "15:04:05",
    "2006-01-02 15:04:05",
    RFC3339,
    "02 Jan 06 15:04 MST",
    "Monday, 02-Jan-06 15:04:05 MST",
    "Mon, 02 Jan 2006 15:04:05 MST",
)
"""Layouts that `date()` tries in this order when it is called without one."""

_ELEMENT = re.compile(
    r"January|Jan|Monday|Mon|MST|2006|Z07:00|Z0700|Z07|-07:00|-0700|-07|002|01|02|03|04|05|06|_2|15"
    r"|[12345]|PM|pm|[.,](?:0+|9+)(?![0-9])",
)
_NOON = 12
# Two digits from this number on are a year of the 20th century.
_FIRST_YEAR_OF_1900S = 69


def format_time(time: datetime, layout: str) -> str:
    """Write a time in a layout. Raises LanguageError for a layout that is too long."""
    _check_length(layout)
    return _ELEMENT.sub(lambda element: _format_element(time, element[0]), layout)


def _check_length(layout: str) -> None:
    if len(layout) > limits.LAYOUT_CHARS:
        raise LanguageError(f"the layout is longer than {limits.LAYOUT_CHARS} characters")


def _format_element(time: datetime, element: str) -> str:
    if element in _FORMATTERS:
        return _FORMATTERS[element](time)
    return _format_fraction(time, element) if element[0] in ".," else _format_offset(time, element)


def _format_offset(time: datetime, element: str) -> str:
    minutes = int((time.utcoffset() or timedelta()).total_seconds() // 60)
    if element[0] == "Z" and not minutes:
        return "Z"
    hours, rest = divmod(abs(minutes), 60)
    sign = "-" if minutes < 0 else "+"
    if ":" in element:
        return f"{sign}{hours:02d}:{rest:02d}"
    return f"{sign}{hours:02d}{rest:02d}" if element.endswith("0700") else f"{sign}{hours:02d}"


def _format_fraction(time: datetime, element: str) -> str:
    digits = f"{time.microsecond:06d}".ljust(len(element) - 1, "0")[: len(element) - 1]
    if element[1] == "9":
        digits = digits.rstrip("0")
        return element[0] + digits if digits else ""
    return element[0] + digits


def _hour_of_12(time: datetime) -> int:
    return time.hour % _NOON or _NOON


_FORMATTERS: dict[str, Callable[[datetime], str]] = {
    "January": lambda t: MONTHS[t.month - 1],
    "Jan": lambda t: MONTHS[t.month - 1][:3],
    "Monday": lambda t: WEEKDAYS[t.weekday()],
    "Mon": lambda t: WEEKDAYS[t.weekday()][:3],
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
    "03": lambda t: f"{_hour_of_12(t):02d}",
    "3": lambda t: str(_hour_of_12(t)),
    "04": lambda t: f"{t.minute:02d}",
    "4": lambda t: str(t.minute),
    "05": lambda t: f"{t.second:02d}",
    "5": lambda t: str(t.second),
    "PM": lambda t: "PM" if t.hour >= _NOON else "AM",
    "pm": lambda t: "pm" if t.hour >= _NOON else "am",
}

# Quantifiers are possessive: as in Go, a number takes all the digits that it can.
_TWO_DIGITS, _ONE_OR_TWO_DIGITS = r"([0-9]{2})", r"([0-9]{1,2}+)"
_PATTERNS = {
    "January": "(" + "|".join(MONTHS) + ")",
    "Jan": "(" + "|".join(name[:3] for name in MONTHS) + ")",
    "Monday": "(" + "|".join(WEEKDAYS) + ")",
    "Mon": "(" + "|".join(name[:3] for name in WEEKDAYS) + ")",
    "MST": r"([A-Z]{3,5}+(?:[+-][0-9]{1,2}+)?+)",
    "2006": r"([0-9]{4})",
    "002": r"([0-9]{3})",
    "_2": r" ?+([0-9]{1,2}+)",
    "15": _TWO_DIGITS,
    "PM": "(AM|PM)",
    "pm": "(am|pm)",
    "Z07:00": r"(Z|[+-][0-9]{2}:[0-9]{2})",
    "Z0700": r"(Z|[+-][0-9]{4})",
    "Z07": r"(Z|[+-][0-9]{2})",
    "-07:00": r"([+-][0-9]{2}:[0-9]{2})",
    "-0700": r"([+-][0-9]{4})",
    "-07": r"([+-][0-9]{2})",
    **dict.fromkeys(("01", "02", "03", "04", "06"), _TWO_DIGITS),
    **dict.fromkeys(("1", "2", "3", "4"), _ONE_OR_TWO_DIGITS),
    "05": _TWO_DIGITS + r"(?:[.,][0-9]++)?+",
    "5": _ONE_OR_TWO_DIGITS + r"(?:[.,][0-9]++)?+",
}


def parse_time(text: str, layout: str, zone: tzinfo | None) -> datetime:
    """Parse a time in a layout; `zone` (by default UTC) applies unless the text names a zone.

    Raises LanguageError when the text does not match the layout, or names a time that does not exist.
    """
    _check_length(layout)
    pattern, elements = "", []
    end = 0
    for element in _ELEMENT.finditer(layout):
        pattern += re.escape(layout[end : element.start()]) + _pattern(element[0], layout[element.end() :])
        elements.append(element[0])
        end = element.end()
    match = re.fullmatch(pattern + re.escape(layout[end:]), text, re.IGNORECASE)
    if not match:
        raise LanguageError("the text does not match the layout of the date")
    try:
        return _ParsedElements(dict(zip(elements, match.groups(), strict=True))).to_time(zone)
    except (ValueError, OverflowError):
        raise LanguageError("the date does not exist") from None


def _pattern(element: str, rest: str) -> str:
    if element[0] in ".,":
        return rf"([.,][0-9]{{{len(element) - 1}}})" if element[1] == "0" else r"((?:[.,][0-9]++)?+)"
    fraction_follows = element in {"05", "5"} and rest[:1] in {".", ","}
    if fraction_follows:
        return _TWO_DIGITS if element == "05" else _ONE_OR_TWO_DIGITS
    return _PATTERNS[element]


class _ParsedElements:
    """The texts of a layout's elements."""

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = texts

    def to_time(self, zone: tzinfo | None) -> datetime:
        time = datetime(
            self._year(),
            self._month(),
            self._number("02", "2", "_2", default=1),
            self._hour(),
            self._number("04", "4"),
            self._number("05", "5"),
            self._microseconds(),
            tzinfo=self._zone() or zone or UTC,
        )
        day_of_year = self._number("002", default=0)
        return time + timedelta(days=day_of_year - 1) if day_of_year else time

    def _first(self, *elements: str) -> str | None:
        return next((self._texts[element] for element in elements if element in self._texts), None)

    def _number(self, *elements: str, default: int = 0) -> int:
        return int(self._first(*elements) or default)

    def _year(self) -> int:
        short = self._first("06")
        if short:
            return int(short) + (1900 if int(short) >= _FIRST_YEAR_OF_1900S else 2000)
        # Go puts a time of day into year 0, which Python does not have.
        return self._number("2006", default=1)

    def _month(self) -> int:
        name = self._first("January", "Jan")
        if name:
            abbreviations = [month[:3].lower() for month in MONTHS]
            return abbreviations.index(name[:3].lower()) + 1
        return self._number("01", "1", default=1)

    def _hour(self) -> int:
        half = self._first("PM", "pm")
        hour = self._number("15", "03", "3")
        if not half:
            return hour
        return hour % _NOON + (_NOON if half.lower() == "pm" else 0)

    def _microseconds(self) -> int:
        fraction = next((text for element, text in self._texts.items() if element[0] in ".,"), "")
        return int(fraction[1:7].ljust(6, "0")) if fraction else 0

    def _zone(self) -> tzinfo | None:
        for element, text in self._texts.items():
            if element == "MST":
                return UTC if text.upper() == "UTC" else timezone(timedelta(), text)
            if element.endswith(("07", "00")) and element[0] in "Z-":
                return UTC if text.upper() == "Z" else _fixed_zone(text)
        return None


def _fixed_zone(text: str) -> tzinfo:
    digits = text[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset)
