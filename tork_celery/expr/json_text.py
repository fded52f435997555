"""JSON to and from values, as Go's encoder and decoder have it."""

import json
import math
import re
from datetime import datetime
from decimal import Decimal
from typing import Any

from tork_celery.expr import limits
from tork_celery.expr.durations import Duration, Named
from tork_celery.expr.errors import Fault
from tork_celery.expr.golayout import RFC3339_NANO, formatted
from tork_celery.expr.kinds import kind_of
from tork_celery.expr.operators import aware
from tork_celery.expr.run import Run

_ESCAPED = re.compile("[<>&\u2028\u2029]")
# JSON has exponents from these powers of ten on.
_TINY, _HUGE = 1e-6, 1e21


def read(run: Run, text: str) -> object:
    """The value of a JSON text; every number in it is a float."""
    run.spend(len(text))
    try:
        return json.loads(text, parse_int=_float, parse_float=_float, parse_constant=_refused)
    except (ValueError, RecursionError):
        raise Fault("the text is not JSON") from None


def _float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError
    return value


def _refused(_: str) -> float:
    raise ValueError


def written(run: Run, value: object, *, indent: str, escape: bool) -> str:
    """A value as JSON with sorted keys, on one line without `indent`; `escape` is of what HTML would read."""
    return _Writer(run, indent=indent, escape=escape).text(value, 0)


class _Writer:
    def __init__(self, run: Run, *, indent: str, escape: bool) -> None:
        self._run = run
        self._indent = indent
        self._escape = escape

    def text(self, value: Any, level: int) -> str:
        if level > limits.VALUE_DEPTH:
            raise Fault("the value is nested too deeply")
        self._run.spend(1)
        writer = self._WRITERS.get(kind_of(value))
        if not writer:
            raise Fault(f"JSON has no {kind_of(value)}")
        text: str = writer(self, value, level)
        self._run.make_text(len(text))
        return text

    def _list(self, items: list[object], level: int) -> str:
        return self._block("[", [self.text(item, level + 1) for item in items], "]", level)

    def _map(self, pairs: dict[object, object], level: int) -> str:
        colon = ": " if self._indent else ":"
        texts = {self._key(key): value for key, value in pairs.items()}
        keys = sorted(texts)
        lines = [f"{self._string(key)}{colon}{self.text(texts[key], level + 1)}" for key in keys]
        return self._block("{", lines, "}", level)

    def _key(self, key: object) -> str:
        return key if isinstance(key, str) else self.text(key, limits.VALUE_DEPTH)

    def _block(self, opening: str, lines: list[str], closing: str, level: int) -> str:
        if not lines or not self._indent:
            return opening + ",".join(lines) + closing
        margin = "\n" + self._indent * level
        inner = margin + self._indent
        return opening + inner + f",{inner}".join(lines) + margin + closing

    def _string(self, value: str, _: int = 0) -> str:
        text = json.dumps(value, ensure_ascii=False)
        return _ESCAPED.sub(_unicode_escape, text) if self._escape else text

    def _number(self, value: float, _: int) -> str:
        if isinstance(value, int):
            return integer(value)
        if not math.isfinite(value):
            raise Fault("JSON has no infinite number")
        return _decimal(value)

    def _bool(self, value: bool, _: int) -> str:
        return "true" if value else "false"

    def _nil(self, _: None, __: int) -> str:
        return "null"

    def _time(self, value: datetime, _: int) -> str:
        return json.dumps(formatted(aware(value), RFC3339_NANO))

    def _own_number(self, value: Duration | Named, _: int) -> str:
        return str(value.nanoseconds if isinstance(value, Duration) else value.number)

    _WRITERS: dict[str, Any] = {  # noqa: RUF012 - never changed
        "nil": _nil,
        "bool": _bool,
        "int": _number,
        "float": _number,
        "string": _string,
        "array": _list,
        "map": _map,
        "time": _time,
        "duration": _own_number,
        "named": _own_number,
    }


def _unicode_escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def integer(value: int) -> str:
    """Raises Fault for more digits than Python writes."""
    try:
        return str(value)
    except ValueError:
        raise Fault("the number is too long to be written") from None


def _decimal(value: float) -> str:
    if value and not _TINY <= abs(value) < _HUGE:
        mantissa, exponent = f"{Decimal(repr(value)).normalize():e}".split("e")
        return f"{mantissa}e{exponent[0]}{int(exponent[1:]):02d}".replace("e-0", "e-")
    return format(Decimal(repr(value)), "f").removesuffix(".0")
