"""Functions that evaluate a predicate for each item of a list.

Each uses three consecutive slots of the frame: for the item, its index, and the accumulator of `reduce`.
`slot` is the first of them.
"""

from collections.abc import Callable, Sequence
from typing import Any

from tork_celery.expr.builtins.lists import sort_by_keys
from tork_celery.expr.errors import LanguageError
from tork_celery.expr.evaluation import Evaluator, Frame
from tork_celery.expr.operators.arithmetic import add, require_bool
from tork_celery.expr.values.types import type_name

SLOTS = 3
ITEM, INDEX, ACCUMULATOR = range(SLOTS)
_GROUP_KEY_TYPES = frozenset({"nil", "bool", "int", "float", "string"})

PredicateFunction = Callable[[Frame, Sequence[Any], Evaluator, int, Evaluator | None], object]
"""Arguments: frame, items, predicate, first slot, and an evaluator of the optional extra argument."""


def _all(frame: Frame, items: Sequence[Any], predicate: Evaluator, slot: int, _: Evaluator | None) -> bool:
    for frame.slots[slot] in items:  # noqa: SIM110 - the loop variable is the slot
        if not require_bool(predicate(frame)):
            return False
    return True


def _any(frame: Frame, items: Sequence[Any], predicate: Evaluator, slot: int, _: Evaluator | None) -> bool:
    for frame.slots[slot] in items:  # noqa: SIM110 - the loop variable is the slot
        if require_bool(predicate(frame)):
            return True
    return False


def _none(
    frame: Frame, items: Sequence[Any], predicate: Evaluator, slot: int, extra: Evaluator | None
) -> bool:
    return not _any(frame, items, predicate, slot, extra)


def _count(frame: Frame, items: Sequence[Any], predicate: Evaluator, slot: int, _: Evaluator | None) -> int:
    count = 0
    for frame.slots[slot] in items:
        count += require_bool(predicate(frame))
    return count


def _one(
    frame: Frame, items: Sequence[Any], predicate: Evaluator, slot: int, extra: Evaluator | None
) -> bool:
    return _count(frame, items, predicate, slot, extra) == 1


def _filter(
    frame: Frame, items: Sequence[Any], predicate: Evaluator, slot: int, _: Evaluator | None
) -> list[object]:
    kept = []
    for item in items:
        frame.slots[slot] = item
        if require_bool(predicate(frame)):
            kept.append(item)
    return kept


def _map(
    frame: Frame, items: Sequence[Any], mapper: Evaluator, slot: int, _: Evaluator | None
) -> list[object]:
    results = []
    for frame.slots[slot + INDEX], frame.slots[slot] in enumerate(items):
        results.append(mapper(frame))
    return results


def _find(frame: Frame, items: Sequence[Any], predicate: Evaluator, slot: int, _: Evaluator | None) -> object:
    for item in items:
        frame.slots[slot] = item
        if require_bool(predicate(frame)):
            return item
    return None


def _find_index(
    frame: Frame, items: Sequence[Any], predicate: Evaluator, slot: int, _: Evaluator | None
) -> int | None:
    for index, frame.slots[slot] in enumerate(items):
        if require_bool(predicate(frame)):
            return index
    return None


def _find_last(
    frame: Frame, items: Sequence[Any], predicate: Evaluator, slot: int, extra: Evaluator | None
) -> object:
    return _find(frame, items[::-1], predicate, slot, extra)


def _find_last_index(
    frame: Frame, items: Sequence[Any], predicate: Evaluator, slot: int, extra: Evaluator | None
) -> int | None:
    index = _find_index(frame, items[::-1], predicate, slot, extra)
    return None if index is None else len(items) - 1 - index


def _sum(frame: Frame, items: Sequence[Any], mapper: Evaluator, slot: int, _: Evaluator | None) -> object:
    total: object = 0
    for frame.slots[slot] in items:
        total = add(frame, mapper(frame), total)
    return total


def _group_by(
    frame: Frame, items: Sequence[Any], mapper: Evaluator, slot: int, _: Evaluator | None
) -> object:
    groups: dict[object, list[object]] = {}
    for item in items:
        frame.slots[slot] = item
        key = mapper(frame)
        if type_name(key) not in _GROUP_KEY_TYPES:
            raise LanguageError(f"groupBy cannot group by {type_name(key)}")
        groups.setdefault(key, []).append(item)
    return groups


def _sort_by(
    frame: Frame, items: Sequence[Any], mapper: Evaluator, slot: int, order: Evaluator | None
) -> object:
    direction = order(frame) if order else "asc"
    keys = []
    for frame.slots[slot] in items:
        keys.append(mapper(frame))
    return sort_by_keys(frame, list(items), keys, direction)


def _reduce(
    frame: Frame, items: Sequence[Any], reducer: Evaluator, slot: int, initial: Evaluator | None
) -> object:
    if not initial and not items:
        raise LanguageError("reduce of an empty list needs an initial value")
    start = 0 if initial else 1
    result = initial(frame) if initial else items[0]
    slots = frame.slots
    for index in range(start, len(items)):
        slots[slot], slots[slot + INDEX], slots[slot + ACCUMULATOR] = items[index], index, result
        result = reducer(frame)
    return result


PREDICATE_FUNCTIONS: dict[str, PredicateFunction] = {
    "all": _all,
    "any": _any,
    "none": _none,
    "one": _one,
    "count": _count,
    "filter": _filter,
    "map": _map,
    "find": _find,
    "findIndex": _find_index,
    "findLast": _find_last,
    "findLastIndex": _find_last_index,
    "sum": _sum,
    "groupBy": _group_by,
    "sortBy": _sort_by,
    "reduce": _reduce,
}
