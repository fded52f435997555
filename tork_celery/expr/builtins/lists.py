"""Functions on lists."""

from collections.abc import Callable, Iterable
from typing import Any

from tork_celery.expr import limits
from tork_celery.expr.builtins.signatures import function, same_as_first
from tork_celery.expr.errors import LanguageError
from tork_celery.expr.evaluation import Frame
from tork_celery.expr.operators.equality import unique
from tork_celery.expr.operators.indexing import get_item, get_slice
from tork_celery.expr.values.datetimes import ensure_aware
from tork_celery.expr.values.types import ANY, INT, LIST, Type, type_name

_IS_DESCENDING = {"asc": False, "desc": True}
# Values are ordered only among those of one group.
_ORDER_GROUPS = {
    "int": "number",
    "float": "number",
    "string": "string",
    "time": "time",
    "duration": "duration",
}


def _len(_: Frame, value: Any) -> int:
    return len(value)


def _first(frame: Frame, items: object) -> object:
    return _get(frame, items, 0)


def _last(frame: Frame, items: object) -> object:
    return _get(frame, items, -1)


def _get(frame: Frame, base: object, key: object) -> object:
    """Return an item, or nil if it does not exist."""
    try:
        return get_item(frame, base, key)
    except LanguageError:
        return None


def _take(frame: Frame, items: list[object], count: int) -> object:
    if count < 0:
        raise LanguageError("take does not take a negative number")
    return get_slice(frame, items, 0, count)


def _reverse(_: Frame, items: list[object]) -> list[object]:
    return list(reversed(items))


def _concat(_: Frame, *lists: list[object]) -> list[object]:
    return [item for items in lists for item in items]


def flatten(frame: Frame, items: Iterable[object], level: int = 0) -> list[object]:
    """Return the items of all nested lists."""
    if level > limits.VALUE_DEPTH:
        raise LanguageError("the value is nested too deeply")
    flat: list[object] = []
    for item in items:
        frame.spend(2)
        if isinstance(item, list | tuple):
            flat += flatten(frame, item, level + 1)
        else:
            flat.append(item)
    return flat


def _uniq(frame: Frame, items: list[object]) -> list[object]:
    return unique(frame, items)


def _sort(frame: Frame, items: list[object], order: str = "asc") -> list[object]:
    return sort_by_keys(frame, items, items, order)


def sort_by_keys(frame: Frame, items: list[object], keys: list[object], order: object) -> list[object]:
    """Sort items by their keys, `asc` or `desc`.

    Raises LanguageError unless all keys are numbers, strings, times or durations.
    """
    if order not in _IS_DESCENDING:
        raise LanguageError("the order must be asc or desc")
    key = _sort_key(keys)
    frame.spend(4 * len(items))
    pairs = sorted(
        zip(keys, items, strict=True), key=lambda pair: key(pair[0]), reverse=_IS_DESCENDING[str(order)]
    )
    return [item for _, item in pairs]


def _sort_key(keys: list[object]) -> Callable[[Any], Any]:
    if len(keys) < 2:  # noqa: PLR2004 - nothing to compare
        return lambda _: 0
    groups = {_ORDER_GROUPS.get(type_name(key), "") for key in keys}
    if len(groups) > 1 or "" in groups:
        names = " and ".join(sorted({type_name(key) for key in keys}))
        raise LanguageError(f"values of type {names} have no order")
    return ensure_aware if groups == {"time"} else lambda key: key


def _type_of_items(types: list[Type]) -> Type:
    return types[0].item


def _type_of_get(types: list[Type]) -> Type:
    base, key = types
    expected = {"array": "int", "map": "string"}.get(base.name)
    if expected and key is not ANY and key.name != expected:
        raise LanguageError(f"get takes {expected} as a key of {base.name}, not {key}")
    return base.item


FUNCTIONS = (
    function("len", _len, INT, "string|array|map", constant_cost=True),
    function("first", _first, _type_of_items, "array", checks_values=False, constant_cost=True),
    function("last", _last, _type_of_items, "array", checks_values=False, constant_cost=True),
    function("get", _get, _type_of_get, "array|map any", checks_values=False, constant_cost=True),
    function("take", _take, same_as_first, "array int"),
    function("reverse", _reverse, LIST, "array"),
    function("concat", _concat, LIST, "array", variadic=True),
    function("flatten", flatten, LIST, "array"),
    function("uniq", _uniq, LIST, "array"),
    function("sort", _sort, LIST, "array", "array string"),
)
