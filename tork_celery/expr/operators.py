"""What the operators do with values, whatever kinds these turn out to be of.

Integers have 64 bits and wrap around; no operator turns one kind of value into another by itself, but an
integer beside a float counts as a float.
"""

import math
import operator
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from tork_celery.expr import limits
from tork_celery.expr.durations import Duration, wrapped
from tork_celery.expr.errors import Fault
from tork_celery.expr.kinds import kind_of
from tork_celery.expr.powers import power
from tork_celery.expr.run import Run

Operator = Callable[[Run, Any, Any], object]


def _integers(compute: Callable[[int, int], int]) -> Operator:
    def apply(_: Run, left: int, right: int) -> int:
        result = compute(left, right)
        return result if limits.INT_MIN <= result <= limits.INT_MAX else wrapped(result)

    return apply


def _floats(compute: Callable[[float, float], object]) -> Operator:
    return lambda _, left, right: compute(float(left), float(right))


def _plain(compute: Callable[[Any, Any], object]) -> Operator:
    return lambda _, left, right: compute(left, right)


def divided(left: float, right: float) -> float:
    """Division never fails: by zero it is infinite, and zero by zero is not a number."""
    if right:
        return left / right
    if not left or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1, right)


def remainder(left: int, right: int) -> int:
    """It has the sign of the dividend."""
    if not right:
        raise Fault("division by zero")
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


def _concatenated(run: Run, left: str, right: str) -> str:
    run.make_text(len(left) + len(right))
    return left + right


def aware(moment: datetime) -> datetime:
    """A time without a zone is in UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _later(moment: datetime, duration: Duration) -> datetime:
    return aware(moment) + timedelta(microseconds=duration.nanoseconds // 1000)


def between(later: datetime, earlier: datetime) -> Duration:
    return Duration((aware(later) - aware(earlier)) // timedelta(microseconds=1) * 1000)


def _scaled(duration: Duration, factor: float) -> Duration:
    return Duration(int(duration.nanoseconds * factor))


_TIMES: dict[str, dict[tuple[str, str], Operator]] = {
    "+": {
        ("time", "duration"): _plain(_later),
        ("duration", "time"): lambda _, left, right: _later(right, left),
        ("duration", "duration"): lambda _, left, right: Duration(left.nanoseconds + right.nanoseconds),
    },
    "-": {
        ("time", "time"): _plain(between),
        ("time", "duration"): lambda _, left, right: _later(left, Duration(-right.nanoseconds)),
        ("duration", "duration"): lambda _, left, right: Duration(left.nanoseconds - right.nanoseconds),
    },
    "*": {
        ("duration", "int"): _plain(_scaled),
        ("duration", "float"): _plain(_scaled),
        ("int", "duration"): lambda _, left, right: _scaled(right, left),
        ("float", "duration"): lambda _, left, right: _scaled(right, left),
        ("duration", "duration"): lambda _, left, right: Duration(left.nanoseconds * right.nanoseconds),
    },
}


def _numbers(ints: Operator | None, floats: Operator | None) -> dict[tuple[str, str], Operator]:
    mixed = (("int", "float"), ("float", "int"), ("float", "float"))
    table = {("int", "int"): ints, **dict.fromkeys(mixed, floats)}
    return {kinds: compute for kinds, compute in table.items() if compute}


def _texts(compare: Callable[[str, str], object]) -> Operator:
    def apply(run: Run, left: str, right: str) -> object:
        run.spend(len(left) >> 8)
        return compare(left, right)

    return apply


def _ordered(compare: Callable[[Any, Any], object]) -> dict[tuple[str, str], Operator]:
    plain = _plain(compare)
    return {
        **_numbers(plain, plain),
        ("string", "string"): _texts(compare),
        ("time", "time"): lambda _, left, right: compare(aware(left), aware(right)),
        ("duration", "duration"): plain,
    }


_DIVIDED, _POWER = _floats(divided), _floats(power)
_RULES: dict[str, dict[tuple[str, str], Operator]] = {
    "+": {
        **_numbers(_integers(operator.add), _floats(operator.add)),
        ("string", "string"): _concatenated,
        **_TIMES["+"],
    },
    "-": {**_numbers(_integers(operator.sub), _floats(operator.sub)), **_TIMES["-"]},
    "*": {**_numbers(_integers(operator.mul), _floats(operator.mul)), **_TIMES["*"]},
    "/": _numbers(_DIVIDED, _DIVIDED),
    "**": _numbers(_POWER, _POWER),
    "^": _numbers(_POWER, _POWER),
    "%": _numbers(_integers(remainder), None),
    "<": _ordered(operator.lt),
    "<=": _ordered(operator.le),
    ">": _ordered(operator.gt),
    ">=": _ordered(operator.ge),
}


def _named(op: str) -> Operator:
    rules = _RULES[op]

    def apply(run: Run, left: object, right: object) -> object:
        rule = rules.get((kind_of(left), kind_of(right)))
        if not rule:
            raise Fault(f"{op} does not take {kind_of(left)} and {kind_of(right)}")
        return rule(run, left, right)

    return apply


OPERATORS: dict[str, Operator] = {op: _named(op) for op in _RULES}
add = OPERATORS["+"]


def negated(value: object) -> object:
    """The number with the other sign."""
    kind = kind_of(value)
    if kind == "int":
        return wrapped(-value)  # type: ignore[operator]
    if kind == "float":
        return -value  # type: ignore[operator]
    raise Fault(f"- does not take {kind}")


def truth(value: object) -> bool:
    """Nothing but a bool is true or false."""
    if value is True or value is False:
        return value
    raise Fault(f"a bool is needed here, not {kind_of(value)}")
