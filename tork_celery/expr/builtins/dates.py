"""Functions that create times, durations and time zones."""

from datetime import datetime, tzinfo

from tork_celery.expr.builtins.signatures import function
from tork_celery.expr.errors import LanguageError
from tork_celery.expr.evaluation import Frame
from tork_celery.expr.values.datetimes import ensure_aware, load_zone
from tork_celery.expr.values.durations import Duration, parse_duration
from tork_celery.expr.values.go_time_layout import DEFAULT_LAYOUTS, parse_time
from tork_celery.expr.values.types import DURATION, TIME, ZONE

_LAYOUT, _ZONE = 1, 2
_MOST_STRINGS = 3
_STEPS_TO_PARSE = 10


def _now(frame: Frame, zone: tzinfo | None = None) -> datetime:
    time = ensure_aware(frame.host.now())
    return time.astimezone(zone) if zone else time


def _duration(frame: Frame, text: str) -> Duration:
    frame.spend(_STEPS_TO_PARSE)
    return parse_duration(text)


def _timezone(frame: Frame, name: str) -> tzinfo:
    frame.spend(_STEPS_TO_PARSE)
    return load_zone(name)


def _date(frame: Frame, *args: object) -> datetime:
    """Parse a date. Arguments: an optional zone, the text, an optional layout, an optional zone name."""
    zone, texts = (args[0], args[1:]) if isinstance(args[0], tzinfo) else (None, args)
    strings = [text for text in texts if isinstance(text, str)]
    if len(strings) != len(texts) or not 0 < len(strings) <= _MOST_STRINGS:
        raise LanguageError("date takes a string, an optional layout and an optional time zone")
    if len(strings) > _ZONE:
        zone = load_zone(strings[_ZONE])
    if len(strings) > _LAYOUT:
        frame.spend(_STEPS_TO_PARSE)
        return parse_time(strings[0], strings[_LAYOUT], zone)
    return _parse_default(frame, strings[0], zone)


def _parse_default(frame: Frame, text: str, zone: tzinfo | None) -> datetime:
    for layout in DEFAULT_LAYOUTS:
        frame.spend(_STEPS_TO_PARSE)
        try:
            return parse_time(text, layout, zone)
        except LanguageError:
            continue
    raise LanguageError("the text is not in a known date format; pass its layout to date")


_DATE_OVERLOADS = (
    "string|zone",
    "string|zone string",
    "string|zone string string",
    "zone string string string",
)
FUNCTIONS = (
    function("now", _now, TIME, "", "zone"),
    function("duration", _duration, DURATION, "string"),
    function("timezone", _timezone, ZONE, "string"),
    function("date", _date, TIME, *_DATE_OVERLOADS),
)
