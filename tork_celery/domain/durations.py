"""Durations in the notation of Go: `1h30m`, `500ms`, `2.5s`."""

from tork_celery.expr import parse_nanoseconds


def seconds(text: str) -> float:
    """Return a duration in seconds.

    Raises ValueError unless Go's time.ParseDuration accepts the text. Signs are not allowed, because no
    duration in a job file may be negative.
    """
    return parse_nanoseconds(text) / 1_000_000_000


def positive_seconds(text: str) -> float:
    """Return a duration in seconds. Raises ValueError for 0 too."""
    duration_s = seconds(text)
    if not duration_s:
        raise ValueError(f"{text[:40]!r} must be longer than 0")
    return duration_s
