"""Conversions of values to and from text: string, type, JSON, base64."""

import base64
import binascii
import re

from tork_celery.expr.builtins.signatures import function
from tork_celery.expr.errors import LanguageError
from tork_celery.expr.evaluation import Frame
from tork_celery.expr.values import go_json, utf8
from tork_celery.expr.values.datetimes import NamedNumber
from tork_celery.expr.values.go_format import format_value
from tork_celery.expr.values.types import ANY, STRING, type_name

_LINE_BREAKS = re.compile(r"[\r\n]")
_GO_TYPES = {"time": "time.Time", "duration": "time.Duration", "zone": "time.Location", "object": "unknown"}


def _string(frame: Frame, value: object) -> str:
    return format_value(frame, value)


def _type(_: Frame, value: object) -> str:
    if isinstance(value, NamedNumber):
        return value.go_type
    name = type_name(value)
    return _GO_TYPES.get(name, name)


def _to_json(frame: Frame, value: object) -> str:
    return go_json.encode(frame, value, indent="  ", escape_html=True)


def _from_json(frame: Frame, text: str) -> object:
    return go_json.decode(frame, text)


def _to_base64(_: Frame, text: str) -> str:
    return base64.b64encode(utf8.encode(text)).decode("ascii")


def _from_base64(_: Frame, text: str) -> str:
    try:
        return utf8.decode(base64.b64decode(utf8.encode(_LINE_BREAKS.sub("", text)), validate=True))
    except (binascii.Error, ValueError):
        raise LanguageError("the text is not base64") from None


FUNCTIONS = (
    function("string", _string, STRING, "any"),
    function("type", _type, STRING, "any", constant_cost=True),
    function("toJSON", _to_json, STRING, "any"),
    function("fromJSON", _from_json, ANY, "string"),
    function("toBase64", _to_base64, STRING, "string"),
    function("fromBase64", _from_base64, STRING, "string"),
)
