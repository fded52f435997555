"""When a schedule fires: cron expressions of five fields, and their short names, in UTC."""

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
_LONGEST = 256


def check(text: str) -> None:
    """Raises ValueError for what is no cron expression, or never fires."""
    if next_time(text, after=0.0) is None:
        raise ValueError(f"{text!r} never fires")


def next_time(text: str, *, after: float) -> float | None:
    """The next time at which the schedule fires, in seconds since the epoch; None if it never does.

    Raises ValueError as `check` does.
    """
    fields = _fields(text)
    try:
        found = next(CronSim(fields, datetime.fromtimestamp(after, UTC)), None)
    except CronSimError as error:
        raise ValueError(f"{text!r} is no cron expression: {_reason(error)}") from error
    return None if found is None else found.timestamp()


def _fields(text: str) -> str:
    if len(text) > _LONGEST:
        raise ValueError(f"longer than {_LONGEST} characters")
    if text.startswith("@"):
        if text not in NAMED:
            raise ValueError(f"{text!r} is not known; there are {', '.join(NAMED)}")
        return NAMED[text]
    if (number := len(text.split())) != _FIELDS:
        raise ValueError(
            f"{text!r} has {number} fields; a cron expression has five (minute, hour, day of the month, "
            "month, day of the week), such as `30 4 * * 1-5`"
        )
    return text.replace("?", "*")


def _reason(error: CronSimError) -> str:
    """Such as `bad day-of-week`."""
    said = str(error)
    return said[:1].lower() + said[1:]
