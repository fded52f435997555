"""Reaching into lists, maps and strings. Nothing else has parts: no Python attribute is ever reached."""

from typing import Any

from tork_celery.expr.errors import Fault
from tork_celery.expr.kinds import kind_of
from tork_celery.expr.run import Run

_KEYS = frozenset({"int", "float", "bool"})


def fetch(run: Run, base: object, key: object) -> object:
    """The value at a key or index; nil for a key that a map lacks, while a list refuses such an index."""
    if isinstance(base, dict):
        return _of_map(base, key)
    if isinstance(base, list | tuple):
        return base[_place(len(base), key)]
    if isinstance(base, str):
        return _byte(run, base, key)
    raise Fault(f"{kind_of(base)} has no parts")


def _byte(run: Run, text: str, key: object) -> int:
    if text.isascii():
        return ord(text[_place(len(text), key)])
    run.spend(len(text) >> 4)
    data = encoded(text)
    return data[_place(len(data), key)]


def _of_map(base: dict[Any, object], key: object) -> object:
    if isinstance(key, str):
        return base.get(key)
    if key is None:
        return base.get("")
    if kind_of(key) in _KEYS and key in base:
        return base[key]
    raise Fault(f"a map has no {kind_of(key)} for a key")


def _place(length: int, key: object) -> int:
    index = whole(key)
    place = index + length if index < 0 else index
    if not 0 <= place < length:
        raise Fault("the index is out of range")
    return place


def whole(value: object) -> int:
    """An index: an integer, or a float cut to one."""
    kind = kind_of(value)
    if kind not in {"int", "float"}:
        raise Fault(f"an index must be int, not {kind}")
    try:
        return int(value)  # type: ignore[call-overload, no-any-return]
    except (ValueError, OverflowError):
        raise Fault("the index is out of range") from None


def encoded(text: str) -> bytes:
    """Strings count in UTF-8 bytes wherever the language has positions in them."""
    return text.encode("utf-8", "surrogatepass")


def decoded(data: bytes) -> str:
    """Half of a character reads as the replacement character."""
    return data.decode("utf-8", "replace")


def cut(run: Run, base: object, start: object, stop: object) -> object:
    """The part from `start` up to `stop`, each counted from the end when negative, cut to what is there."""
    if isinstance(base, list | tuple):
        first, last = _range(len(base), start, stop)
        run.spend(last - first)
        return list(base[first:last])
    if isinstance(base, str):
        return _cut_text(run, base, start, stop)
    raise Fault(f"{kind_of(base)} cannot be sliced")


def _cut_text(run: Run, text: str, start: object, stop: object) -> str:
    run.make_text(len(text))
    if text.isascii():
        first, last = _range(len(text), start, stop)
        return text[first:last]
    data = encoded(text)
    first, last = _range(len(data), start, stop)
    return decoded(data[first:last])


def _range(length: int, start: object, stop: object) -> tuple[int, int]:
    first = 0 if start is None else _bound(length, start)
    last = length if stop is None else _bound(length, stop)
    return min(first, last), last


def _bound(length: int, value: object) -> int:
    index = whole(value)
    return min(max(index + length if index < 0 else index, 0), length)
