"""Functions between values and their texts: strings, JSON, base64, and the names of kinds."""

import base64
import binascii
import re

from tork_celery.expr import json_text, text
from tork_celery.expr.access import decoded, encoded
from tork_celery.expr.durations import Named
from tork_celery.expr.errors import Fault
from tork_celery.expr.kinds import ANY, STRING, kind_of
from tork_celery.expr.run import Run
from tork_celery.expr.signatures import function

_LINE_ENDS = re.compile(r"[\r\n]")
_TYPE_NAMES = {"time": "time.Time", "duration": "time.Duration", "zone": "time.Location", "object": "unknown"}


def string(run: Run, value: object) -> str:
    return text.string(run, value)


def type_name(_: Run, value: object) -> str:
    if isinstance(value, Named):
        return value.kind
    kind = kind_of(value)
    return _TYPE_NAMES.get(kind, kind)


def to_json(run: Run, value: object) -> str:
    """Indented by two spaces."""
    return json_text.written(run, value, indent="  ", escape=True)


def from_json(run: Run, source: str) -> object:
    return json_text.read(run, source)


def to_base64(_: Run, value: str) -> str:
    return base64.b64encode(encoded(value)).decode("ascii")


def from_base64(_: Run, value: str) -> str:
    try:
        return decoded(base64.b64decode(encoded(_LINE_ENDS.sub("", value)), validate=True))
    except (binascii.Error, ValueError):
        raise Fault("the text is not base64") from None


FUNCTIONS = (
    function("string", string, STRING, "any"),
    function("type", type_name, STRING, "any", instant=True),
    function("toJSON", to_json, STRING, "any"),
    function("fromJSON", from_json, ANY, "string"),
    function("toBase64", to_base64, STRING, "string"),
    function("fromBase64", from_base64, STRING, "string"),
)
