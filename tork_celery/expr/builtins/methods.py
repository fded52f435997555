"""Methods of times, durations, months, weekdays and time zones. Values of other types have no methods."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from tork_celery.expr.builtins.signatures import Function, function
from tork_celery.expr.errors import LanguageError
from tork_celery.expr.evaluation import Frame
from tork_celery.expr.operators.arithmetic import ARITHMETIC
from tork_celery.expr.values import int64
from tork_celery.expr.values.datetimes import (
    elapsed,
    ensure_aware,
    month_of,
    nanoseconds_since,
    weekday_of,
    zone_name,
)
from tork_celery.expr.values.durations import Duration
from tork_celery.expr.values.go_format import format_value
from tork_celery.expr.values.go_time_layout import format_time
from tork_celery.expr.values.types import (
    BOOL,
    DURATION,
    FLOAT,
    INT,
    NAMED,
    STRING,
    TIME,
    ZONE,
    Type,
    type_name,
)

_ZERO_TIME = datetime(1, 1, 1, tzinfo=UTC)
_MONTHS = 12
_SECOND = 1_000_000_000
_STEPS_OF_A_CALL = 10
_Rounding = Callable[[int, int], int]


def _time_method(name: str, returns: Type, compute: Callable[[datetime], object]) -> Function:
    return function(name, lambda _, time: compute(ensure_aware(time)), returns, "time")


def _unix_method(name: str, unit: int) -> Function:
    return _time_method(name, INT, lambda time: nanoseconds_since(time) // unit)


def _add_date(_: Frame, time: datetime, years: int, months: int, days: int) -> datetime:
    """Add to a date. A day that the month does not have overflows into the next month, as in Go."""
    year, month = divmod((time.year + years) * _MONTHS + time.month - 1 + months, _MONTHS)
    try:
        start = ensure_aware(time).replace(year=year, month=month + 1, day=1)
        return start + timedelta(days=time.day - 1 + days)
    except (ValueError, OverflowError):
        raise LanguageError("the date does not exist") from None


def _in(_: Frame, time: datetime, zone: tzinfo) -> datetime:
    return ensure_aware(time).astimezone(zone)


def _compare(_: Frame, left: datetime, right: datetime) -> int:
    one, two = ensure_aware(left), ensure_aware(right)
    return (one > two) - (one < two)


def _round_down(value: int, unit: int) -> int:
    return value - value % unit if unit > 0 else value


def _round_half_up(value: int, unit: int) -> int:
    return _round_down(value + unit // 2, unit) if unit > 0 else value


def _rounded_time(rounding: _Rounding) -> Callable[[Frame, datetime, Duration], datetime]:
    """Return a method that rounds the time since year 1, as Go does."""

    def apply(_: Frame, time: datetime, unit: Duration) -> datetime:
        since_year_1 = nanoseconds_since(time, _ZERO_TIME)
        change = rounding(since_year_1, unit.nanoseconds) - since_year_1
        return ensure_aware(time) + timedelta(microseconds=change // 1000)

    return apply


def _rounded_duration(rounding: _Rounding) -> Callable[[Frame, Duration, Duration], Duration]:
    def apply(_: Frame, duration: Duration, unit: Duration) -> Duration:
        sign = -1 if duration.nanoseconds < 0 else 1
        return Duration(sign * rounding(abs(duration.nanoseconds), unit.nanoseconds))

    return apply


def _duration_in(name: str, unit: int) -> Function:
    """Return a float in seconds and longer units, and an integer in shorter ones, as in Go."""
    if unit >= _SECOND:
        return function(name, lambda _, duration: duration.nanoseconds / unit, FLOAT, "duration")
    return function(
        name, lambda _, duration: int64.truncating_quotient(duration.nanoseconds, unit), INT, "duration"
    )


def _string_method(receiver: str) -> Function:
    return function("String", format_value, STRING, receiver)


_TIME_METHODS = (
    _time_method("Year", INT, lambda t: t.year),
    _time_method("Month", NAMED, month_of),
    _time_method("Day", INT, lambda t: t.day),
    _time_method("Hour", INT, lambda t: t.hour),
    _time_method("Minute", INT, lambda t: t.minute),
    _time_method("Second", INT, lambda t: t.second),
    _time_method("Nanosecond", INT, lambda t: t.microsecond * 1000),
    _time_method("Weekday", NAMED, weekday_of),
    _time_method("YearDay", INT, lambda t: t.timetuple().tm_yday),
    _unix_method("Unix", _SECOND),
    _unix_method("UnixMilli", 1_000_000),
    _unix_method("UnixMicro", 1_000),
    _unix_method("UnixNano", 1),
    _time_method("UTC", TIME, lambda t: t.astimezone(UTC)),
    _time_method("Location", ZONE, lambda t: t.tzinfo),
    _time_method("IsZero", BOOL, lambda t: t == _ZERO_TIME),
    function("In", _in, TIME, "time zone"),
    function("Format", lambda _, t, layout: format_time(ensure_aware(t), layout), STRING, "time string"),
    function("Add", ARITHMETIC["+"], TIME, "time duration"),
    function("Sub", lambda _, t, other: elapsed(t, other), DURATION, "time time"),
    function("AddDate", _add_date, TIME, "time int int int"),
    function("Before", ARITHMETIC["<"], BOOL, "time time"),
    function("After", ARITHMETIC[">"], BOOL, "time time"),
    function("Equal", lambda _, t, other: ensure_aware(t) == ensure_aware(other), BOOL, "time time"),
    function("Compare", _compare, INT, "time time"),
    function("Truncate", _rounded_time(_round_down), TIME, "time duration"),
    function("Round", _rounded_time(_round_half_up), TIME, "time duration"),
    _string_method("time"),
)
_DURATION_METHODS = (
    _duration_in("Hours", 3_600 * _SECOND),
    _duration_in("Minutes", 60 * _SECOND),
    _duration_in("Seconds", _SECOND),
    _duration_in("Milliseconds", 1_000_000),
    _duration_in("Microseconds", 1_000),
    _duration_in("Nanoseconds", 1),
    function("Abs", lambda _, duration: Duration(abs(duration.nanoseconds)), DURATION, "duration"),
    function("Truncate", _rounded_duration(_round_down), DURATION, "duration duration"),
    function("Round", _rounded_duration(_round_half_up), DURATION, "duration duration"),
    _string_method("duration"),
)
METHODS: dict[str, dict[str, Function]] = {
    "time": {method.name: method for method in _TIME_METHODS},
    "duration": {method.name: method for method in _DURATION_METHODS},
    "named": {"String": _string_method("named")},
    "zone": {"String": function("String", lambda _, zone: zone_name(zone), STRING, "zone")},
}
"""Methods by the type of the receiver and by name. The receiver is the first argument."""


def find_method(receiver: str, name: str) -> Function:
    """Return a method of a type. Raises LanguageError if the type does not have it."""
    method = METHODS.get(receiver, {}).get(name)
    if not method:
        raise LanguageError(f"{receiver} has no method {name}")
    return method


def call_method(frame: Frame, receiver: Any, name: str, args: list[Any]) -> object:
    """Call a method. Raises LanguageError for an unknown method or wrong arguments."""
    method = find_method(type_name(receiver), name)
    values = [receiver, *args]
    frame.spend(_STEPS_OF_A_CALL)
    method.check_values(values, method.overload(len(values)))
    return method.call(frame, *values)
