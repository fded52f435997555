"""Time zones by their names in the tz database."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tork_celery.expr.errors import Fault

_UTC_NAMES = frozenset({"", "UTC"})
_LONGEST_NAME = 64


def load(name: str) -> tzinfo:
    """The zone of that name; raises Fault when there is none."""
    if name in _UTC_NAMES:
        return UTC
    try:
        if len(name) <= _LONGEST_NAME and name.isascii():
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    raise Fault("there is no time zone of that name")


def zone_name(zone: tzinfo) -> str:
    """The name in the tz database, or what stands for a fixed offset."""
    if isinstance(zone, ZoneInfo):
        return zone.key or ""
    return zone.tzname(datetime(2000, 1, 1, tzinfo=UTC)) or ""
