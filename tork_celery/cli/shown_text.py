"""Texts of users, made safe for a terminal, and times as people read them."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400


def one_line(text: str) -> str:
    """Return a text with control characters as escapes: it can neither move the cursor nor end the line."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def parse_time(text: str) -> datetime:
    """Return a time of the API."""
    return datetime.fromisoformat(text)


def duration(seconds: float) -> str:
    """Return a duration in its two largest units, such as 350ms, 4.2s, 3m05s, 2h10m or 3d04h."""
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))}ms"
    if seconds < _MINUTE_S:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S}m{whole % _MINUTE_S:02}s"
    if whole < _DAY_S:
        return f"{whole // _HOUR_S}h{whole % _HOUR_S // _MINUTE_S:02}m"
    return f"{whole // _DAY_S}d{whole % _DAY_S // _HOUR_S:02}h"


def age(time: str | None, now: datetime) -> str:
    """Return how long ago a time of the API was; "" for none."""
    return "" if time is None else duration((now - parse_time(time)).total_seconds())


def ended_at(document: Mapping[str, Any]) -> str | None:
    """Return the time at which a job or task ended."""
    return document.get("completedAt") or document.get("failedAt")


def run_time(document: Mapping[str, Any], now: datetime) -> str:
    """Return how long a job or task has run, or ran; "" if it has not started."""
    start = document.get("startedAt")
    if start is None:
        return ""
    end = ended_at(document)
    return duration(((parse_time(end) if end else now) - parse_time(start)).total_seconds())


def now() -> datetime:
    return datetime.now(UTC)
