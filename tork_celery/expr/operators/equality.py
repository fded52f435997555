"""Equality of values, and membership in lists and maps."""

from collections.abc import Iterable
from typing import Any

from tork_celery.expr import limits
from tork_celery.expr.errors import LanguageError
from tork_celery.expr.evaluation import Frame
from tork_celery.expr.values.datetimes import NamedNumber, ensure_aware
from tork_celery.expr.values.types import type_name

_NUMBERS = frozenset({"int", "float"})
_COMPARED_BY_VALUE = frozenset({"nil", "bool", "string", "duration", "zone"})
_KEY_TYPES = frozenset({"string", "nil", "int", "float", "bool"})


def equal(frame: Frame, left: Any, right: Any, level: int = 0) -> bool:
    """Compare two values. Numbers are compared by value, lists and maps by contents, objects by identity.

    Values of other, different types are unequal.
    """
    name, other = type_name(left), type_name(right)
    if name in _NUMBERS and other in _NUMBERS:
        return bool(left == right)
    if "named" in (name, other):
        return _number(left) == _number(right)
    if name != other:
        return False
    if name in _COMPARED_BY_VALUE:
        if name == "string":
            frame.spend(len(left) >> 8)
        return bool(left == right)
    if name == "time":
        return ensure_aware(left) == ensure_aware(right)
    return left is right if name == "object" else _equal_items(frame, left, right, level)


def _number(value: object) -> object:
    if isinstance(value, NamedNumber):
        return value.number
    return value if type_name(value) in _NUMBERS else None


def _equal_items(frame: Frame, left: Any, right: Any, level: int) -> bool:
    if level > limits.VALUE_DEPTH:
        raise LanguageError("the value is nested too deeply")
    if len(left) != len(right):
        return False
    frame.spend(2 * len(left) + 1)
    if isinstance(left, dict):
        return all(key in right and equal(frame, left[key], right[key], level + 1) for key in left)
    return all(equal(frame, one, two, level + 1) for one, two in zip(left, right, strict=True))


def contains(frame: Frame, value: object, container: object) -> bool:
    """Return whether a list contains a value or a map contains a key. Nil contains nothing."""
    if container is None:
        return False
    if isinstance(container, list | tuple):
        return _has_item(frame, value, container)
    if isinstance(container, dict):
        return _has_key(value, container)
    raise LanguageError(f"in does not take {type_name(container)} on its right")


def _has_item(frame: Frame, value: object, items: list[object] | tuple[object, ...]) -> bool:
    frame.spend(len(items))
    return any(equal(frame, item, value) for item in items)


def _has_key(value: object, container: dict[Any, object]) -> bool:
    if type_name(value) not in _KEY_TYPES:
        raise LanguageError(f"{type_name(value)} cannot be the key of a map")
    return ("" if value is None else value) in container


def unique(frame: Frame, items: Iterable[object]) -> list[object]:
    """Return the items without those that equal an earlier one."""
    seen: set[tuple[str, object]] = set()
    seen_unhashable: list[object] = []
    kept: list[object] = []
    for item in items:
        name = type_name(item)
        if name in _KEY_TYPES:
            mark = ("number" if name in _NUMBERS else name, item)
            if mark in seen:
                continue
            seen.add(mark)
        elif _has_item(frame, item, seen_unhashable):
            continue
        else:
            seen_unhashable.append(item)
        kept.append(item)
    return kept
