"""Arithmetic and order, with one implementation for each pair of operand types.

Integers wrap around at 64 bits. The only implicit conversion is from int to float, beside another float.
"""

import math
import operator
from collections.abc import Callable
from typing import Any

from tork_celery.expr.errors import LanguageError
from tork_celery.expr.evaluation import Frame
from tork_celery.expr.operators.exponentiation import power
from tork_celery.expr.values import int64
from tork_celery.expr.values.datetimes import add_duration, elapsed, ensure_aware
from tork_celery.expr.values.durations import Duration
from tork_celery.expr.values.types import type_name

BinaryOperator = Callable[[Frame, Any, Any], object]
_Implementations = dict[tuple[str, str], BinaryOperator]


def _on_integers(compute: Callable[[int, int], int]) -> BinaryOperator:
    def apply(_: Frame, left: int, right: int) -> int:
        result = compute(left, right)
        return result if int64.MIN <= result <= int64.MAX else int64.wrap(result)

    return apply


def _on_floats(compute: Callable[[float, float], object]) -> BinaryOperator:
    return lambda _, left, right: compute(float(left), float(right))


def _without_frame(compute: Callable[[Any, Any], object]) -> BinaryOperator:
    return lambda _, left, right: compute(left, right)


def _divide(left: float, right: float) -> float:
    """Divide as IEEE 754 does: by zero the result is infinite, or NaN for zero by zero."""
    if right:
        return left / right
    if not left or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1, right)


def _concatenate(frame: Frame, left: str, right: str) -> str:
    frame.reserve_text(len(left) + len(right))
    return left + right


def _scale(duration: Duration, factor: float) -> Duration:
    return Duration(int(duration.nanoseconds * factor))


_ON_TIMES: dict[str, _Implementations] = {
    "+": {
        ("time", "duration"): _without_frame(add_duration),
        ("duration", "time"): lambda _, left, right: add_duration(right, left),
        ("duration", "duration"): lambda _, left, right: Duration(left.nanoseconds + right.nanoseconds),
    },
    "-": {
        ("time", "time"): _without_frame(elapsed),
        ("time", "duration"): lambda _, left, right: add_duration(left, Duration(-right.nanoseconds)),
        ("duration", "duration"): lambda _, left, right: Duration(left.nanoseconds - right.nanoseconds),
    },
    "*": {
        ("duration", "int"): _without_frame(_scale),
        ("duration", "float"): _without_frame(_scale),
        ("int", "duration"): lambda _, left, right: _scale(right, left),
        ("float", "duration"): lambda _, left, right: _scale(right, left),
        ("duration", "duration"): lambda _, left, right: Duration(left.nanoseconds * right.nanoseconds),
    },
}


def _on_numbers(integers: BinaryOperator | None, floats: BinaryOperator | None) -> _Implementations:
    pairs_with_float = (("int", "float"), ("float", "int"), ("float", "float"))
    table = {("int", "int"): integers, **dict.fromkeys(pairs_with_float, floats)}
    return {types: compute for types, compute in table.items() if compute}


def _compare_strings(compare: Callable[[str, str], object]) -> BinaryOperator:
    def apply(frame: Frame, left: str, right: str) -> object:
        frame.spend(len(left) >> 8)
        return compare(left, right)

    return apply


def _on_ordered(compare: Callable[[Any, Any], object]) -> _Implementations:
    apply = _without_frame(compare)
    return {
        **_on_numbers(apply, apply),
        ("string", "string"): _compare_strings(compare),
        ("time", "time"): lambda _, left, right: compare(ensure_aware(left), ensure_aware(right)),
        ("duration", "duration"): apply,
    }


_DIVIDE, _POWER = _on_floats(_divide), _on_floats(power)
_IMPLEMENTATIONS: dict[str, _Implementations] = {
    "+": {
        **_on_numbers(_on_integers(operator.add), _on_floats(operator.add)),
        ("string", "string"): _concatenate,
        **_ON_TIMES["+"],
    },
    "-": {**_on_numbers(_on_integers(operator.sub), _on_floats(operator.sub)), **_ON_TIMES["-"]},
    "*": {**_on_numbers(_on_integers(operator.mul), _on_floats(operator.mul)), **_ON_TIMES["*"]},
    "/": _on_numbers(_DIVIDE, _DIVIDE),
    "**": _on_numbers(_POWER, _POWER),
    "^": _on_numbers(_POWER, _POWER),
    "%": _on_numbers(_on_integers(int64.remainder), None),
    "<": _on_ordered(operator.lt),
    "<=": _on_ordered(operator.le),
    ">": _on_ordered(operator.gt),
    ">=": _on_ordered(operator.ge),
}


def _dispatch(op: str) -> BinaryOperator:
    implementations = _IMPLEMENTATIONS[op]

    def apply(frame: Frame, left: object, right: object) -> object:
        implementation = implementations.get((type_name(left), type_name(right)))
        if not implementation:
            raise LanguageError(f"{op} does not take {type_name(left)} and {type_name(right)}")
        return implementation(frame, left, right)

    return apply


ARITHMETIC: dict[str, BinaryOperator] = {op: _dispatch(op) for op in _IMPLEMENTATIONS}
"""Arithmetic and order operators by symbol. Each raises LanguageError for operands that it does not take."""

add = ARITHMETIC["+"]


def negate(value: object) -> object:
    """Return a number with the opposite sign. Raises LanguageError for other values."""
    name = type_name(value)
    if name == "int":
        return int64.wrap(-value)  # type: ignore[operator]
    if name == "float":
        return -value  # type: ignore[operator]
    raise LanguageError(f"- does not take {name}")


def require_bool(value: object) -> bool:
    """Return a bool unchanged. Raises LanguageError for other values: the language has no truthiness."""
    if value is True or value is False:
        return value
    raise LanguageError(f"bool is required here, not {type_name(value)}")


def integer_range(frame: Frame, start: int, stop: int) -> list[int]:
    """Return the integers from `start` to before `stop`."""
    frame.spend(max(0, stop - start))
    return list(range(start, stop))
