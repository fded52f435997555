"""Functions that make times, durations and time zones."""

from datetime import datetime, tzinfo

from tork_celery.expr import durations, golayout, zones
from tork_celery.expr.durations import Duration
from tork_celery.expr.errors import Fault
from tork_celery.expr.kinds import DURATION, TIME, ZONE
from tork_celery.expr.operators import aware
from tork_celery.expr.run import Run
from tork_celery.expr.signatures import function

_LAYOUT, _ZONE = 1, 2


def now(run: Run, zone: tzinfo | None = None) -> datetime:
    moment = aware(run.host.now())
    return moment.astimezone(zone) if zone else moment


def duration(_: Run, text: str) -> Duration:
    return durations.parse(text)


def timezone(_: Run, name: str) -> tzinfo:
    return zones.load(name)


def date(_: Run, *args: object) -> datetime:
    """`text`, `text layout` or `text layout zone`, each perhaps after a zone."""
    zone, texts = (args[0], args[1:]) if isinstance(args[0], tzinfo) else (None, args)
    strings = [text for text in texts if isinstance(text, str)]
    if len(strings) != len(texts) or not 0 < len(strings) <= _ZONE + 1:
        raise Fault("date takes a text, perhaps with its layout and its zone")
    if len(strings) > _ZONE:
        zone = zones.load(strings[_ZONE])
    if len(strings) > _LAYOUT:
        return golayout.parsed(strings[0], strings[_LAYOUT], zone)
    return _known(strings[0], zone)


def _known(text: str, zone: tzinfo | None) -> datetime:
    for layout in golayout.KNOWN:
        try:
            return golayout.parsed(text, layout, zone)
        except Fault:
            continue
    raise Fault("the text is not a date in a known form")


_DATE = ("string|zone", "string|zone string", "string|zone string string", "zone string string string")
FUNCTIONS = (
    function("now", now, TIME, "", "zone"),
    function("duration", duration, DURATION, "string"),
    function("timezone", timezone, ZONE, "string"),
    function("date", date, TIME, *_DATE),
)
