"""Encode and decode JSON as Go's encoding/json does."""

import json
import math
import re
from datetime import datetime
from decimal import Decimal
from typing import Any

from tork_celery.expr import limits
from tork_celery.expr.errors import LanguageError
from tork_celery.expr.evaluation import Frame
from tork_celery.expr.values import int64
from tork_celery.expr.values.datetimes import NamedNumber, ensure_aware
from tork_celery.expr.values.durations import Duration
from tork_celery.expr.values.go_time_layout import RFC3339_NANO, format_time
from tork_celery.expr.values.types import type_name

_HTML_CHARS = re.compile("[<>&\u2028\u2029]")
# Go writes floats below and from these powers of ten with an exponent.
_SMALLEST_PLAIN, _SMALLEST_EXPONENT = 1e-6, 1e21


def decode(frame: Frame, text: str) -> object:
    """Return the value of a JSON text. Each number is a float. Raises LanguageError for invalid JSON."""
    frame.spend(len(text))
    try:
        return json.loads(text, parse_int=_parse_float, parse_float=_parse_float, parse_constant=_reject)
    except (ValueError, RecursionError):
        raise LanguageError("the text is not JSON") from None


def _parse_float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError
    return value


def _reject(_: str) -> float:
    raise ValueError


def encode(frame: Frame, value: object, *, indent: str, escape_html: bool) -> str:
    """Return a value as JSON with sorted keys, on one line if `indent` is empty.

    Raises LanguageError for a value that JSON cannot represent.
    """
    return _Encoder(frame, indent=indent, escape_html=escape_html).encode(value, 0)


class _Encoder:
    def __init__(self, frame: Frame, *, indent: str, escape_html: bool) -> None:
        self._frame = frame
        self._indent = indent
        self._escape_html = escape_html

    def encode(self, value: Any, level: int) -> str:
        if level > limits.VALUE_DEPTH:
            raise LanguageError("the value is nested too deeply")
        self._frame.spend(1)
        encode = self._ENCODERS.get(type_name(value))
        if not encode:
            raise LanguageError(f"JSON cannot represent {type_name(value)}")
        text: str = encode(self, value, level)
        self._frame.reserve_text(len(text))
        return text

    def _list(self, items: list[object], level: int) -> str:
        return self._block("[", [self.encode(item, level + 1) for item in items], "]", level)

    def _map(self, entries: dict[object, object], level: int) -> str:
        colon = ": " if self._indent else ":"
        by_key = {self._key(key): value for key, value in entries.items()}
        lines = [f"{self._string(key)}{colon}{self.encode(by_key[key], level + 1)}" for key in sorted(by_key)]
        return self._block("{", lines, "}", level)

    def _key(self, key: object) -> str:
        return key if isinstance(key, str) else self.encode(key, limits.VALUE_DEPTH)

    def _block(self, opening: str, lines: list[str], closing: str, level: int) -> str:
        if not lines or not self._indent:
            return opening + ",".join(lines) + closing
        margin = "\n" + self._indent * level
        inner = margin + self._indent
        return opening + inner + f",{inner}".join(lines) + margin + closing

    def _string(self, value: str, _: int = 0) -> str:
        text = json.dumps(value, ensure_ascii=False)
        return _HTML_CHARS.sub(_unicode_escape, text) if self._escape_html else text

    def _number(self, value: float, _: int) -> str:
        if isinstance(value, int):
            return int64.to_text(value)
        if not math.isfinite(value):
            raise LanguageError("JSON cannot represent an infinite number or NaN")
        return _float(value)

    def _bool(self, value: bool, _: int) -> str:
        return "true" if value else "false"

    def _nil(self, _: None, __: int) -> str:
        return "null"

    def _time(self, value: datetime, _: int) -> str:
        return json.dumps(format_time(ensure_aware(value), RFC3339_NANO))

    def _integer_type(self, value: Duration | NamedNumber, _: int) -> str:
        return str(value.nanoseconds if isinstance(value, Duration) else value.number)

    _ENCODERS: dict[str, Any] = {  # noqa: RUF012 - a constant
        "nil": _nil,
        "bool": _bool,
        "int": _number,
        "float": _number,
        "string": _string,
        "array": _list,
        "map": _map,
        "time": _time,
        "duration": _integer_type,
        "named": _integer_type,
    }


def _unicode_escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _float(value: float) -> str:
    if value and not _SMALLEST_PLAIN <= abs(value) < _SMALLEST_EXPONENT:
        mantissa, exponent = f"{Decimal(repr(value)).normalize():e}".split("e")
        return f"{mantissa}e{exponent[0]}{int(exponent[1:]):02d}".replace("e-0", "e-")
    return format(Decimal(repr(value)), "f").removesuffix(".0")
