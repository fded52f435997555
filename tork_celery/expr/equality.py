"""When two values are equal, and whether one is in another."""

from collections.abc import Iterable
from typing import Any

from tork_celery.expr import limits
from tork_celery.expr.durations import Named
from tork_celery.expr.errors import Fault
from tork_celery.expr.kinds import kind_of
from tork_celery.expr.operators import aware
from tork_celery.expr.run import Run

_NUMBERS = frozenset({"int", "float"})
_SIMPLE = frozenset({"nil", "bool", "string", "duration", "zone"})


def equal(run: Run, left: Any, right: Any, level: int = 0) -> bool:
    """Values of different kinds are unequal, but numbers go by value, and lists and maps by contents."""
    kind, other = kind_of(left), kind_of(right)
    if kind in _NUMBERS and other in _NUMBERS:
        return bool(left == right)
    if "named" in (kind, other):
        return _number(left) == _number(right)
    if kind != other:
        return False
    if kind in _SIMPLE:
        if kind == "string":
            run.spend(len(left) >> 8)
        return bool(left == right)
    if kind == "time":
        return aware(left) == aware(right)
    return left is right if kind == "object" else _alike(run, left, right, level)


def _number(value: object) -> object:
    if isinstance(value, Named):
        return value.number
    return value if kind_of(value) in _NUMBERS else None


def _alike(run: Run, left: Any, right: Any, level: int) -> bool:
    if level > limits.VALUE_DEPTH:
        raise Fault("the value is nested too deeply")
    if len(left) != len(right):
        return False
    run.spend(2 * len(left) + 1)
    if isinstance(left, dict):
        return all(key in right and equal(run, left[key], right[key], level + 1) for key in left)
    return all(equal(run, one, two, level + 1) for one, two in zip(left, right, strict=True))


def contained(run: Run, value: object, holder: object) -> bool:
    """Whether a list has the value, or a map the key; nothing is in nil."""
    kind = kind_of(holder)
    if kind == "nil":
        return False
    if isinstance(holder, list | tuple):
        return _among(run, value, holder)
    if isinstance(holder, dict):
        return _is_key(value, holder)
    raise Fault(f"in does not take {kind} on its right")


def _among(run: Run, value: object, items: list[object] | tuple[object, ...]) -> bool:
    run.spend(len(items))
    return any(equal(run, item, value) for item in items)


def _is_key(value: object, holder: dict[Any, object]) -> bool:
    if kind_of(value) not in {"string", "nil", "int", "float", "bool"}:
        raise Fault(f"{kind_of(value)} cannot be the key of a map")
    return ("" if value is None else value) in holder


def unique(run: Run, items: Iterable[object]) -> list[object]:
    """The items without those that equal an earlier one."""
    seen: set[tuple[str, object]] = set()
    kept: list[object] = []
    compound: list[object] = []
    for item in items:
        kind = kind_of(item)
        if kind in _NUMBERS or kind in {"nil", "bool", "string"}:
            mark = ("number" if kind in _NUMBERS else kind, item)
            if mark in seen:
                continue
            seen.add(mark)
        elif _among(run, item, compound):
            continue
        else:
            compound.append(item)
        kept.append(item)
    return kept
