"""Cron expressions of five fields, in UTC, and their short names."""

from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

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


def check(text: str) -> None:
    """Raise ValueError unless `text` is a cron expression that fires at some time."""
    if next_time(text, after=0.0) is None:
        raise ValueError(f"{text!r} never fires")


def next_time(text: str, *, after: float) -> float | None:
    """Return the first time later than `after` at which a schedule fires, or None if it never fires again.

    Times are seconds since the epoch. Raises ValueError if `text` is not a cron expression.
    """
    fields = _fields(text)
    try:
        fires_at = next(CronSim(fields, datetime.fromtimestamp(after, UTC)), None)
    except CronSimError as error:
        raise ValueError(f"{text!r} is not a cron expression: {_reason(error)}") from error
    return None if fires_at is None else fires_at.timestamp()


def _fields(text: str) -> str:
    if len(text) > _MAX_CHARS:
        raise ValueError(f"longer than {_MAX_CHARS} characters")
    if text.startswith("@"):
        if text not in NAMED:
            raise ValueError(f"{text!r} is unknown; the short names are {', '.join(NAMED)}")
        return NAMED[text]
    if (count := len(text.split())) != _FIELDS:
        raise ValueError(
            f"{text!r} has {count} fields; a cron expression has five (minute, hour, day of the month, "
            "month, day of the week), such as `30 4 * * 1-5`"
        )
    return text.replace("?", "*")


def _reason(error: CronSimError) -> str:
    """Return a reason such as `bad day-of-week`."""
    reason = str(error)
    return reason[:1].lower() + reason[1:]
