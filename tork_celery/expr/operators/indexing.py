"""Indexing and slicing of lists, maps and strings. No attribute of a Python object is ever accessed."""

from typing import Any

from tork_celery.expr.errors import LanguageError
from tork_celery.expr.evaluation import Frame
from tork_celery.expr.values import utf8
from tork_celery.expr.values.lazy_map import LazyMap
from tork_celery.expr.values.types import type_name

_KEY_TYPES = frozenset({"int", "float", "bool"})


def get_item(frame: Frame, base: object, key: object) -> object:
    """Return the item of a list, the value of a map or the byte of a string at a key.

    A missing key of a map yields nil. Raises LanguageError for an index that is out of range.
    """
    if isinstance(base, dict):
        return _get_value(base, key)
    if isinstance(base, list | tuple):
        return base[_position(len(base), key)]
    if isinstance(base, str):
        return _get_byte(frame, base, key)
    if isinstance(base, LazyMap):
        return base.get(frame, key) if isinstance(key, str) else _get_value(base.load(frame), key)
    raise LanguageError(f"{type_name(base)} has no items")


def _get_byte(frame: Frame, text: str, key: object) -> int:
    if text.isascii():
        return ord(text[_position(len(text), key)])
    frame.spend(len(text) >> 4)
    data = utf8.encode(text)
    return data[_position(len(data), key)]


def _get_value(base: dict[Any, object], key: object) -> object:
    if isinstance(key, str):
        return base.get(key)
    if key is None:
        return base.get("")
    if type_name(key) in _KEY_TYPES and key in base:
        return base[key]
    raise LanguageError(f"the map has no key of type {type_name(key)}")


def _position(length: int, key: object) -> int:
    index = to_index(key)
    position = index + length if index < 0 else index
    if not 0 <= position < length:
        raise LanguageError("the index is out of range")
    return position


def to_index(value: object) -> int:
    """Return an integer, or a float truncated to one. Raises LanguageError for other types."""
    name = type_name(value)
    if name not in {"int", "float"}:
        raise LanguageError(f"an index must be int, not {name}")
    try:
        return int(value)  # type: ignore[call-overload, no-any-return]
    except (ValueError, OverflowError):
        raise LanguageError("the index is out of range") from None


def get_slice(frame: Frame, base: object, start: object, stop: object) -> object:
    """Return the items from `start` to before `stop`. A negative bound counts from the end.

    A bound that is out of range is moved to the nearest end, and nil stands for that end.
    """
    if isinstance(base, list | tuple):
        first, last = _bounds(len(base), start, stop)
        frame.spend(last - first)
        return list(base[first:last])
    if isinstance(base, str):
        return _slice_text(frame, base, start, stop)
    raise LanguageError(f"{type_name(base)} cannot be sliced")


def _slice_text(frame: Frame, text: str, start: object, stop: object) -> str:
    frame.reserve_text(len(text))
    if text.isascii():
        first, last = _bounds(len(text), start, stop)
        return text[first:last]
    data = utf8.encode(text)
    first, last = _bounds(len(data), start, stop)
    return utf8.decode(data[first:last])


def _bounds(length: int, start: object, stop: object) -> tuple[int, int]:
    first = 0 if start is None else _bound(length, start)
    last = length if stop is None else _bound(length, stop)
    return min(first, last), last


def _bound(length: int, value: object) -> int:
    index = to_index(value)
    return min(max(index + length if index < 0 else index, 0), length)
