"""Formats of values for people: durations, numbers, log text, and attributes of states."""

import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400
_UNITS = ((_DAY_S, "day"), (_HOUR_S, "hour"), (_MINUTE_S, "minute"))
_JUST_NOW_S = 5
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")


def duration(seconds: float | None) -> str:
    """Return a duration such as `340 ms`, `4.2 s`, `3m 12s` or `2d 4h`; an empty text for None."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))} ms"
    if seconds < 10:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    hours, rest_minutes = divmod(minutes, 60)
    days, rest_hours = divmod(hours, 24)
    if days:
        return f"{days}d {rest_hours}h"
    if hours:
        return f"{hours}h {rest_minutes}m"
    return f"{minutes}m {rest_s}s" if minutes else f"{rest_s} s"


def ago(at: float | None) -> str:
    """Return a time relative to now, such as `5 minutes ago` or `in 2 hours`."""
    if at is None:
        return ""
    passed = time.time() - at
    if abs(passed) < _JUST_NOW_S:
        return "just now"
    for size, unit in _UNITS:
        if abs(passed) >= size:
            return _relative(int(abs(passed) // size), unit, past=passed > 0)
    return _relative(int(abs(passed)), "second", past=passed > 0)


def _relative(number: int, unit: str, *, past: bool) -> str:
    text = f"{number} {unit}{'' if number == 1 else 's'}"
    return f"{text} ago" if past else f"in {text}"


def exact(at: float) -> str:
    """Return a time as a reader sees it when pointing at a relative one."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def seconds(document_time: str | None) -> float | None:
    """Return a time of a document, RFC 3339, in seconds since the epoch."""
    return None if document_time is None else datetime.fromisoformat(document_time).timestamp()


def thousands(number: int) -> str:
    return f"{number:,}"


def plain(text: str | None) -> str:
    """Return text of a container without terminal escape sequences."""
    return _ESCAPE.sub("", text or "")


def short(id_: str) -> str:
    return id_[:8]


FILTERS: Mapping[str, Callable[..., Any]] = {
    "ago": ago,
    "duration": duration,
    "exact": exact,
    "iso": iso,
    "plain": plain,
    "seconds": seconds,
    "short": short,
    "thousands": thousands,
}
"""Filters of the templates."""
