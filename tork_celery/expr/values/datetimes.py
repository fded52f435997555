"""Times, time zones, and the names of months and weekdays."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tork_celery.expr.errors import LanguageError
from tork_celery.expr.values.durations import Duration

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
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UTC_NAMES = frozenset({"", "UTC"})
_LONGEST_ZONE_NAME = 64


@dataclass(frozen=True, slots=True)
class NamedNumber:
    """A month or a weekday: an integer type of Go whose values are written as names."""

    go_type: str
    number: int
    name: str

    def __str__(self) -> str:
        return self.name


def month_of(time: datetime) -> NamedNumber:
    return NamedNumber("time.Month", time.month, MONTHS[time.month - 1])


def weekday_of(time: datetime) -> NamedNumber:
    """Return the weekday; Sunday is 0."""
    return NamedNumber("time.Weekday", time.isoweekday() % 7, WEEKDAYS[time.weekday()])


def ensure_aware(time: datetime) -> datetime:
    """Return the time in UTC if it has no time zone."""
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def nanoseconds_since(time: datetime, start: datetime = _EPOCH) -> int:
    """Return the nanoseconds from `start` (by default 1970) to `time`, to the microsecond."""
    return (ensure_aware(time) - start) // _MICROSECOND * 1000


def add_duration(time: datetime, duration: Duration) -> datetime:
    """Add a duration. The result is exact to the microsecond."""
    return ensure_aware(time) + timedelta(microseconds=duration.nanoseconds // 1000)


def elapsed(later: datetime, earlier: datetime) -> Duration:
    """Return the duration from `earlier` to `later`."""
    return Duration(nanoseconds_since(later, ensure_aware(earlier)))


def load_zone(name: str) -> tzinfo:
    """Return a time zone of the tz database. Raises LanguageError for an unknown name."""
    if name in _UTC_NAMES:
        return UTC
    try:
        if len(name) <= _LONGEST_ZONE_NAME and name.isascii():
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    raise LanguageError("unknown time zone")


def zone_name(zone: tzinfo) -> str:
    """Return the name of a zone in the tz database, or that of a fixed offset."""
    if isinstance(zone, ZoneInfo):
        return zone.key or ""
    return zone.tzname(datetime(2000, 1, 1, tzinfo=UTC)) or ""
