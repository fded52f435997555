"""Methods of times, durations and what comes of them. No other value has any."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from tork_celery.expr import golayout
from tork_celery.expr.durations import Duration, Named
from tork_celery.expr.errors import Fault
from tork_celery.expr.kinds import BOOL, DURATION, FLOAT, INT, NAMED, STRING, TIME, ZONE, Type, kind_of
from tork_celery.expr.operators import OPERATORS, aware, between
from tork_celery.expr.run import Run
from tork_celery.expr.signatures import Function, function
from tork_celery.expr.text import string
from tork_celery.expr.zones import zone_name

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MONTHS = 12


def _time(name: str, gives: Type, compute: Callable[[datetime], object]) -> Function:
    return function(name, lambda _, moment: compute(aware(moment)), gives, "time")


def _month(moment: datetime) -> Named:
    return Named("time.Month", moment.month, golayout.MONTHS[moment.month - 1])


def _weekday(moment: datetime) -> Named:
    return Named("time.Weekday", moment.isoweekday() % 7, golayout.DAYS[moment.weekday()])


def _since_epoch(unit: int) -> Callable[[datetime], int]:
    return lambda moment: (moment - _EPOCH) // _MICROSECOND * 1000 // unit


def _add_date(_: Run, moment: datetime, years: int, months: int, days: int) -> datetime:
    """A day that the month lacks runs over into the next one."""
    year, month = divmod((moment.year + years) * _MONTHS + moment.month - 1 + months, _MONTHS)
    try:
        start = aware(moment).replace(year=year, month=month + 1, day=1)
        return start + timedelta(days=moment.day - 1 + days)
    except (ValueError, OverflowError):
        raise Fault("there is no such date") from None


def _in(_: Run, moment: datetime, zone: tzinfo) -> datetime:
    return aware(moment).astimezone(zone)


def _compare(_: Run, left: datetime, right: datetime) -> int:
    one, two = aware(left), aware(right)
    return (one > two) - (one < two)


def _rounded_down(value: int, unit: int) -> int:
    return value - value % unit if unit > 0 else value


def _rounded(value: int, unit: int) -> int:
    return _rounded_down(value + unit // 2, unit) if unit > 0 else value


def _time_to_unit(way: Callable[[int, int], int]) -> Callable[[Run, datetime, Duration], datetime]:
    """Counted from the year 1 on, as Go counts."""
    origin = datetime(1, 1, 1, tzinfo=UTC)

    def change(_: Run, moment: datetime, unit: Duration) -> datetime:
        elapsed = (aware(moment) - origin) // _MICROSECOND * 1000
        return aware(moment) + timedelta(microseconds=(way(elapsed, unit.nanoseconds) - elapsed) // 1000)

    return change


def _duration_to_unit(way: Callable[[int, int], int]) -> Callable[[Run, Duration, Duration], Duration]:
    def change(_: Run, length: Duration, unit: Duration) -> Duration:
        sign = -1 if length.nanoseconds < 0 else 1
        return Duration(sign * way(abs(length.nanoseconds), unit.nanoseconds))

    return change


def _length(name: str, unit: int) -> Function:
    """A float for units above the second, a whole number for those below, as Go has it."""
    if unit >= 1_000_000_000:  # noqa: PLR2004 - a second
        return function(name, lambda _, length: length.nanoseconds / unit, FLOAT, "duration")
    return function(name, lambda _, length: _cut_division(length.nanoseconds, unit), INT, "duration")


def _cut_division(value: int, unit: int) -> int:
    return -(-value // unit) if value < 0 else value // unit


def _text(kind: str) -> Function:
    return function("String", string, STRING, kind)


_TIME = (
    _time("Year", INT, lambda t: t.year),
    _time("Month", NAMED, _month),
    _time("Day", INT, lambda t: t.day),
    _time("Hour", INT, lambda t: t.hour),
    _time("Minute", INT, lambda t: t.minute),
    _time("Second", INT, lambda t: t.second),
    _time("Nanosecond", INT, lambda t: t.microsecond * 1000),
    _time("Weekday", NAMED, _weekday),
    _time("YearDay", INT, lambda t: t.timetuple().tm_yday),
    _time("Unix", INT, _since_epoch(1_000_000_000)),
    _time("UnixMilli", INT, _since_epoch(1_000_000)),
    _time("UnixMicro", INT, _since_epoch(1_000)),
    _time("UnixNano", INT, _since_epoch(1)),
    _time("UTC", TIME, lambda t: t.astimezone(UTC)),
    _time("Location", ZONE, lambda t: t.tzinfo),
    _time("IsZero", BOOL, lambda t: t == datetime(1, 1, 1, tzinfo=UTC)),
    function("In", _in, TIME, "time zone"),
    function("Format", lambda _, t, layout: golayout.formatted(aware(t), layout), STRING, "time string"),
    function("Add", OPERATORS["+"], TIME, "time duration"),
    function("Sub", lambda _, t, other: between(t, other), DURATION, "time time"),
    function("AddDate", _add_date, TIME, "time int int int"),
    function("Before", OPERATORS["<"], BOOL, "time time"),
    function("After", OPERATORS[">"], BOOL, "time time"),
    function("Equal", lambda _, t, other: aware(t) == aware(other), BOOL, "time time"),
    function("Compare", _compare, INT, "time time"),
    function("Truncate", _time_to_unit(_rounded_down), TIME, "time duration"),
    function("Round", _time_to_unit(_rounded), TIME, "time duration"),
    _text("time"),
)
_DURATION = (
    _length("Hours", 3_600_000_000_000),
    _length("Minutes", 60_000_000_000),
    _length("Seconds", 1_000_000_000),
    _length("Milliseconds", 1_000_000),
    _length("Microseconds", 1_000),
    _length("Nanoseconds", 1),
    function("Abs", lambda _, length: Duration(abs(length.nanoseconds)), DURATION, "duration"),
    function("Truncate", _duration_to_unit(_rounded_down), DURATION, "duration duration"),
    function("Round", _duration_to_unit(_rounded), DURATION, "duration duration"),
    _text("duration"),
)
METHODS: dict[str, dict[str, Function]] = {
    "time": {method.name: method for method in _TIME},
    "duration": {method.name: method for method in _DURATION},
    "named": {"String": _text("named")},
    "zone": {"String": function("String", lambda _, zone: zone_name(zone), STRING, "zone")},
}


def method_of(kind: str, name: str) -> Function:
    """Raises Fault when values of that kind have no such method."""
    method = METHODS.get(kind, {}).get(name)
    if not method:
        raise Fault(f"{kind} has no method {name}")
    return method


def invoke(run: Run, base: Any, name: str, args: list[Any]) -> object:
    """What the method of the value gives."""
    method = method_of(kind_of(base), name)
    values = [base, *args]
    method.check(values, method.form(len(values)))
    return method.call(run, *values)
