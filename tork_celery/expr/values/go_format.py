"""Write values as text, as Go's fmt package does with `%v`."""

import math
from datetime import datetime
from decimal import Decimal
from typing import Any

from tork_celery.expr import limits
from tork_celery.expr.errors import ExpressionError, LanguageError
from tork_celery.expr.evaluation import Budget, Frame, standalone_frame
from tork_celery.expr.values import go_json, int64
from tork_celery.expr.values.datetimes import NamedNumber, ensure_aware, zone_name
from tork_celery.expr.values.durations import Duration
from tork_celery.expr.values.go_time_layout import format_time
from tork_celery.expr.values.types import type_name

# Go writes floats outside of these powers of ten with an exponent.
_SMALLEST_PLAIN, _LARGEST_PLAIN = -4, 6


def format_value(frame: Frame, value: object, level: int = 0) -> str:
    """Return the result of `string()`: `8` for 8.0, `1e+06`, `<nil>`, `[1 2]`, `map[a:1]`."""
    if isinstance(value, str):
        return value
    if level > limits.VALUE_DEPTH:
        raise LanguageError("the value is nested too deeply")
    formatter = _FORMATTERS.get(type_name(value))
    if not formatter:
        raise LanguageError("the value cannot be written as text")
    return str(formatter(frame, value, level))


def to_text(value: object, budget: Budget | None = None) -> str:
    """Return the text of a value in a template: that of `string()`, but nil is empty, and a list or a map is
    compact JSON.

    Raises ExpressionError for a value that cannot be written as text, or takes more steps than the budget
    has.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    frame = standalone_frame(budget)
    try:
        if isinstance(value, dict | list | tuple):
            return go_json.encode(frame, value, indent="", escape_html=False)
        return format_value(frame, value)
    except LanguageError as error:
        raise ExpressionError(error.reason, "") from None
    finally:
        frame.close()


def _number(_: Frame, value: float, __: int) -> str:
    return int64.to_text(value) if isinstance(value, int) else _float(value)


def _float(value: float) -> str:
    """Write a float with the fewest digits that identify it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    power = len(digits) + int(exponent) - 1 if value else 0
    if _SMALLEST_PLAIN <= power < _LARGEST_PLAIN:
        return _without_exponent(value)
    mantissa = "".join(map(str, digits))
    point = "." + mantissa[1:] if len(mantissa) > 1 else ""
    return f"{'-' if sign else ''}{mantissa[0]}{point}e{power:+03d}"


def _without_exponent(value: float) -> str:
    text = repr(value) if "e" not in repr(value) else format(Decimal(repr(value)), "f")
    return text.removesuffix(".0")


def _list(frame: Frame, items: list[object], level: int) -> str:
    frame.spend(len(items) + 1)
    return _counted(frame, "[" + " ".join(format_value(frame, item, level + 1) for item in items) + "]")


def _map(frame: Frame, entries: dict[object, object], level: int) -> str:
    frame.spend(len(entries) + 1)
    texts = [
        (format_value(frame, key), format_value(frame, value, level + 1)) for key, value in entries.items()
    ]
    return _counted(frame, "map[" + " ".join(f"{key}:{value}" for key, value in sorted(texts)) + "]")


def _counted(frame: Frame, text: str) -> str:
    frame.reserve_text(len(text))
    return text


def _bool(_: Frame, value: bool, __: int) -> str:
    return "true" if value else "false"


def _time(_: Frame, value: datetime, __: int) -> str:
    return format_time(ensure_aware(value), "2006-01-02 15:04:05.999999999 -0700 MST")


def _zone(_: Frame, value: Any, __: int) -> str:
    return zone_name(value)


def _str(_: Frame, value: Duration | NamedNumber, __: int) -> str:
    return str(value)


_FORMATTERS: dict[str, Any] = {
    "nil": lambda _, __, ___: "<nil>",
    "bool": _bool,
    "int": _number,
    "float": _number,
    "array": _list,
    "map": _map,
    "time": _time,
    "zone": _zone,
    "duration": _str,
    "named": _str,
}
