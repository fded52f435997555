"""Cron expressions: five fields, short names such as `@daily`, `@every` with a duration, and time zones."""

import math
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from tork_celery.domain import durations

NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIELDS = 5
_MAX_CHARS = 256
_DAY_S = 86_400
_ZONE = re.compile(r"(?:CRON_)?TZ=(\S*)(?:\s+(.*))?", re.DOTALL)
_ZONE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*")
_LOCAL_ZONES = ("Local", "localtime")  # differ from machine to machine
_EVERY = re.compile(r"@every\s+(\S+)")


@dataclass(frozen=True, slots=True)
class _Interval:
    """A firing every `seconds`, counted from the first one."""

    seconds: int

    def next_time(self, after: float, anchor: float | None) -> float:
        start = math.floor(after) if anchor is None else anchor
        return start + (math.floor((after - start) / self.seconds) + 1) * self.seconds


@dataclass(frozen=True, slots=True)
class _Fields:
    """Five fields in a time zone."""

    text: str
    zone: tzinfo

    @property
    def _at_fixed_times(self) -> bool:
        """Whether the minute and the hour are fixed, as in Vixie cron: neither begins with a wildcard."""
        minute, hour = self.text.split()[:2]
        return not minute.startswith("*") and not hour.startswith("*")

    def next_time(self, after: float) -> float | None:
        if self.zone is UTC or self._at_fixed_times:
            return self._next_wall_clock_time(after)
        return self._next_elapsed_time(after)

    def _next_wall_clock_time(self, after: float) -> float | None:
        """CronSim moves a time in a skipped hour to the end of that hour, and takes a time in a doubled hour
        for the first of the two, which `after` may have passed."""
        times = (fires_at.timestamp() for fires_at in self._times(datetime.fromtimestamp(after, self.zone)))
        return next((time for time in times if time > after), None)

    def _next_elapsed_time(self, after: float) -> float | None:
        """Search each stretch of time with one UTC offset, in which the wall clock follows elapsed time."""
        first: float | None = math.floor(after) + 1
        while first is not None:
            offset_s = self._offset_s(first)
            wall_clock = next(self._times(datetime.fromtimestamp(first + offset_s - 1, UTC)), None)
            if wall_clock is None:
                return None
            time = wall_clock.timestamp() - offset_s
            first = self._offset_change(first, time)
        return time

    def _times(self, after: datetime) -> Iterator[datetime]:
        return CronSim(self.text, after)

    def _offset_change(self, start: float, end: float) -> float | None:
        """Return the first second in (`start`, `end`] with another UTC offset than `start`, or None."""
        offset_s = self._offset_s(start)
        for day in range(int(start), int(end), _DAY_S):
            seconds = range(day, min(day + _DAY_S, int(end)) + 1)
            if self._offset_s(seconds[-1]) != offset_s:
                return seconds[bisect_left(seconds, True, key=lambda at: self._offset_s(at) != offset_s)]
        return None

    def _offset_s(self, time: float) -> float:
        offset = datetime.fromtimestamp(time, self.zone).utcoffset() or timedelta()
        return offset.total_seconds()


def check(text: str) -> None:
    """Raise ValueError unless `text` is a cron expression that fires at some time."""
    if next_time(text, after=0.0) is None:
        raise ValueError(f"{text!r} never fires")


def check_timezone(name: str) -> None:
    """Raise ValueError unless `name` is a time zone of the tz database."""
    _load_zone(name)


def has_timezone(text: str) -> bool:
    """Return whether a cron expression begins with a time zone."""
    return _ZONE.fullmatch(text.strip()) is not None


def next_time(
    text: str, *, after: float, anchor: float | None = None, timezone: str | None = None
) -> float | None:
    """Return the first time later than `after` at which a schedule fires, or None if it never fires again.

    The intervals of `@every` are counted from `anchor`, an earlier firing, or else from `after`. Times are
    seconds since the epoch. `timezone` holds for an expression that begins with none; the default is UTC.
    Raises ValueError if `text` is not a cron expression.
    """
    schedule = _parse(text, timezone)
    if isinstance(schedule, _Interval):
        return schedule.next_time(after, anchor)
    try:
        return schedule.next_time(after)
    except CronSimError as error:
        raise ValueError(f"{text!r} is not a cron expression: {_reason(error)}") from error


def _parse(text: str, timezone: str | None = None) -> _Interval | _Fields:
    if len(text) > _MAX_CHARS:
        raise ValueError(f"longer than {_MAX_CHARS} characters")
    zone: tzinfo = _load_zone(timezone) if timezone else UTC
    expression = text.strip()
    if in_zone := _ZONE.fullmatch(expression):
        zone = _load_zone(in_zone[1])
        expression = in_zone[2] or ""
    if every := _EVERY.fullmatch(expression):
        return _Interval(max(1, int(durations.positive_seconds(every[1]))))
    return _Fields(_five_fields(expression), zone)


def _five_fields(text: str) -> str:
    if text.startswith("@"):
        if text not in NAMED:
            raise ValueError(
                f"{text!r} is unknown; the short names are {', '.join(NAMED)} and, with any duration, "
                "`@every 90s`"
            )
        return NAMED[text]
    if (count := len(text.split())) != _FIELDS:
        raise ValueError(
            f"{text!r} has {count} fields; a cron expression has five (minute, hour, day of the month, "
            "month, day of the week), such as `30 4 * * 1-5`"
        )
    return text.replace("?", "*")


def _load_zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        if _ZONE_NAME.fullmatch(name) and name not in _LOCAL_ZONES:
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    raise ValueError(f"{name!r} is not a time zone; write a name of the tz database, such as `Europe/Berlin`")


def _reason(error: CronSimError) -> str:
    """Return a reason such as `bad day-of-week`."""
    reason = str(error)
    return reason[:1].lower() + reason[1:]
