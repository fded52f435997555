"""How values read as text: as the language's `string()` writes them, and as they stand in a template."""

import math
from datetime import datetime
from decimal import Decimal
from typing import Any

from tork_celery.expr import json_text, limits
from tork_celery.expr.durations import Duration, Named
from tork_celery.expr.errors import ExpressionError, Fault
from tork_celery.expr.golayout import formatted
from tork_celery.expr.kinds import kind_of
from tork_celery.expr.operators import aware
from tork_celery.expr.run import Run, detached
from tork_celery.expr.zones import zone_name

# Go writes a float in exponents below and from these powers of ten on.
_SMALLEST_PLAIN, _LARGEST_PLAIN = -4, 6


def string(run: Run, value: object, level: int = 0) -> str:
    """What `string()` gives: `8` for 8.0, `1e+06`, `<nil>`, `[1 2]`, `map[a:1]`."""
    if isinstance(value, str):
        return value
    if level > limits.VALUE_DEPTH:
        raise Fault("the value is nested too deeply")
    writer = _WRITERS.get(kind_of(value))
    if not writer:
        raise Fault("the value cannot be written as text")
    return str(writer(run, value, level))


def _number(_: Run, value: float, __: int) -> str:
    return json_text.integer(value) if isinstance(value, int) else _float(value)


def _float(value: float) -> str:
    """A float with the fewest digits that make it out, in Go's form."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    power = len(digits) + int(exponent) - 1 if value else 0
    if _SMALLEST_PLAIN <= power < _LARGEST_PLAIN:
        return _trimmed(value)
    mantissa = "".join(map(str, digits))
    point = "." + mantissa[1:] if len(mantissa) > 1 else ""
    return f"{'-' if sign else ''}{mantissa[0]}{point}e{power:+03d}"


def _trimmed(value: float) -> str:
    text = repr(value) if "e" not in repr(value) else format(Decimal(repr(value)), "f")
    return text.removesuffix(".0")


def _list(run: Run, items: list[object], level: int) -> str:
    run.spend(len(items) + 1)
    return _bounded(run, "[" + " ".join(string(run, item, level + 1) for item in items) + "]")


def _map(run: Run, pairs: dict[object, object], level: int) -> str:
    run.spend(len(pairs) + 1)
    texts = [(string(run, key), string(run, value, level + 1)) for key, value in pairs.items()]
    return _bounded(run, "map[" + " ".join(f"{key}:{value}" for key, value in sorted(texts)) + "]")


def _bounded(run: Run, text: str) -> str:
    run.make_text(len(text))
    return text


def _bool(_: Run, value: bool, __: int) -> str:
    return "true" if value else "false"


def _time(_: Run, value: datetime, __: int) -> str:
    return formatted(aware(value), "2006-01-02 15:04:05.999999999 -0700 MST")


def _zone(_: Run, value: Any, __: int) -> str:
    return zone_name(value)


def _own(_: Run, value: Duration | Named, __: int) -> str:
    return str(value)


_WRITERS: dict[str, Any] = {
    "nil": lambda _, __, ___: "<nil>",
    "bool": _bool,
    "int": _number,
    "float": _number,
    "array": _list,
    "map": _map,
    "time": _time,
    "zone": _zone,
    "duration": _own,
    "named": _own,
}


def to_text(value: object) -> str:
    """How a value reads inside a string: as `string()` has it, but nil is empty, a list or map compact JSON.

    Raises ExpressionError for a value that has no such text.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    run = detached()
    try:
        if isinstance(value, dict | list | tuple):
            return json_text.written(run, value, indent="", escape=False)
        return string(run, value)
    except Fault as fault:
        raise ExpressionError(fault.reason, "") from None
