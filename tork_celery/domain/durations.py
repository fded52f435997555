"""Durations as Go writes them: `1h30m`, `500ms`, `2.5s`."""

from tork_celery.expr.go_duration import nanoseconds


def seconds(text: str) -> float:
    """The duration `text` in seconds.

    Raises ValueError for what Go's time.ParseDuration refuses, and for a sign: none of the durations in a
    job file may be negative.
    """
    return nanoseconds(text) / 1_000_000_000


def positive_seconds(text: str) -> float:
    """The same for a duration that must not be 0; raises ValueError for that too."""
    found = seconds(text)
    if not found:
        raise ValueError(f"{text[:40]!r} must be longer than 0")
    return found
