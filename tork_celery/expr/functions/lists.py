"""Functions on lists."""

from collections.abc import Callable, Iterable
from typing import Any

from tork_celery.expr import equality, limits
from tork_celery.expr.access import cut, fetch
from tork_celery.expr.errors import Fault
from tork_celery.expr.kinds import ANY, INT, LIST, Type, kind_of
from tork_celery.expr.operators import aware
from tork_celery.expr.run import Run
from tork_celery.expr.signatures import function

_ORDERS = {"asc": False, "desc": True}
_FAMILIES = {"int": "number", "float": "number", "string": "string", "time": "time", "duration": "duration"}


def length(_: Run, value: Any) -> int:
    return len(value)


def first(run: Run, items: object) -> object:
    return get(run, items, 0)


def last(run: Run, items: object) -> object:
    return get(run, items, -1)


def get(run: Run, base: object, key: object) -> object:
    """What is there, or nil."""
    try:
        return fetch(run, base, key)
    except Fault:
        return None


def take(run: Run, items: list[object], count: int) -> object:
    if count < 0:
        raise Fault("take does not take a negative number")
    return cut(run, items, 0, count)


def reverse(_: Run, items: list[object]) -> list[object]:
    return list(reversed(items))


def concat(_: Run, *lists: list[object]) -> list[object]:
    return [item for items in lists for item in items]


def flatten(run: Run, items: Iterable[object], level: int = 0) -> list[object]:
    """The items of all lists inside, however deep."""
    if level > limits.VALUE_DEPTH:
        raise Fault("the value is nested too deeply")
    flat: list[object] = []
    for item in items:
        run.spend(2)
        if isinstance(item, list | tuple):
            flat += flatten(run, item, level + 1)
        else:
            flat.append(item)
    return flat


def uniq(run: Run, items: list[object]) -> list[object]:
    return equality.unique(run, items)


def sort(run: Run, items: list[object], order: str = "asc") -> list[object]:
    return ordered(run, items, items, order)


def ordered(run: Run, items: list[object], keys: list[object], order: object) -> list[object]:
    """The items in the order of their keys, which must all be numbers, strings, times or durations."""
    if order not in _ORDERS:
        raise Fault("the order must be asc or desc")
    key = _key(keys)
    run.spend(4 * len(items))
    pairs = sorted(zip(keys, items, strict=True), key=lambda pair: key(pair[0]), reverse=_ORDERS[str(order)])
    return [item for _, item in pairs]


def _key(keys: list[object]) -> Callable[[Any], Any]:
    if len(keys) < 2:  # noqa: PLR2004 - nothing to compare
        return lambda _: 0
    families = {_FAMILIES.get(kind_of(key), "") for key in keys}
    if len(families) > 1 or "" in families:
        kinds = " and ".join(sorted({kind_of(key) for key in keys}))
        raise Fault(f"values of kind {kinds} have no order")
    return aware if families == {"time"} else lambda key: key


def _item(types: list[Type]) -> Type:
    return types[0].item


def _same(types: list[Type]) -> Type:
    return types[0]


def _part(types: list[Type]) -> Type:
    base, key = types
    wanted = {"array": "int", "map": "string"}.get(base.kind)
    if wanted and key is not ANY and key.kind != wanted:
        raise Fault(f"get takes {wanted} to reach into {base.kind}, not {key}")
    return base.item


FUNCTIONS = (
    function("len", length, INT, "string|array|map", instant=True),
    function("first", first, _item, "array", strict=False, instant=True),
    function("last", last, _item, "array", strict=False, instant=True),
    function("get", get, _part, "array|map any", strict=False, instant=True),
    function("take", take, _same, "array int"),
    function("reverse", reverse, LIST, "array"),
    function("concat", concat, LIST, "array", repeats=True),
    function("flatten", flatten, LIST, "array"),
    function("uniq", uniq, LIST, "array"),
    function("sort", sort, LIST, "array", "array string"),
)
