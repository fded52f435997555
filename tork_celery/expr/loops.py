"""Functions that evaluate a predicate for each item of a list.

Each takes three cells of the run: the item, its index, and the accumulator of `reduce`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from tork_celery.expr.errors import Fault
from tork_celery.expr.functions.lists import ordered
from tork_celery.expr.kinds import kind_of
from tork_celery.expr.operators import add, truth
from tork_celery.expr.run import Evaluate, Run

CELLS = 3
ITEM, INDEX, ACC = range(CELLS)
_KEYS = frozenset({"nil", "bool", "int", "float", "string"})

# Run, items, predicate, first cell, and what `extra` evaluates to (None without one).
Driver = Callable[[Run, Sequence[Any], Evaluate, int, Evaluate | None], object]


def _all(run: Run, items: Sequence[Any], test: Evaluate, cell: int, _: Evaluate | None) -> bool:
    for run.cells[cell] in items:  # noqa: SIM110 - the loop variable is the cell
        if not truth(test(run)):
            return False
    return True


def _any(run: Run, items: Sequence[Any], test: Evaluate, cell: int, _: Evaluate | None) -> bool:
    for run.cells[cell] in items:  # noqa: SIM110 - the loop variable is the cell
        if truth(test(run)):
            return True
    return False


def _none(run: Run, items: Sequence[Any], test: Evaluate, cell: int, extra: Evaluate | None) -> bool:
    return not _any(run, items, test, cell, extra)


def _count(run: Run, items: Sequence[Any], test: Evaluate, cell: int, _: Evaluate | None) -> int:
    found = 0
    for run.cells[cell] in items:
        found += truth(test(run))
    return found


def _one(run: Run, items: Sequence[Any], test: Evaluate, cell: int, extra: Evaluate | None) -> bool:
    return _count(run, items, test, cell, extra) == 1


def _filter(run: Run, items: Sequence[Any], test: Evaluate, cell: int, _: Evaluate | None) -> list[object]:
    kept = []
    for item in items:
        run.cells[cell] = item
        if truth(test(run)):
            kept.append(item)
    return kept


def _map(run: Run, items: Sequence[Any], body: Evaluate, cell: int, _: Evaluate | None) -> list[object]:
    made = []
    for run.cells[cell + INDEX], run.cells[cell] in enumerate(items):
        made.append(body(run))
    return made


def _find(run: Run, items: Sequence[Any], test: Evaluate, cell: int, _: Evaluate | None) -> object:
    for item in items:
        run.cells[cell] = item
        if truth(test(run)):
            return item
    return None


def _find_index(run: Run, items: Sequence[Any], test: Evaluate, cell: int, _: Evaluate | None) -> int | None:
    for place, run.cells[cell] in enumerate(items):
        if truth(test(run)):
            return place
    return None


def _find_last(run: Run, items: Sequence[Any], test: Evaluate, cell: int, extra: Evaluate | None) -> object:
    return _find(run, items[::-1], test, cell, extra)


def _find_last_index(
    run: Run,
    items: Sequence[Any],
    test: Evaluate,
    cell: int,
    extra: Evaluate | None,
) -> int | None:
    place = _find_index(run, items[::-1], test, cell, extra)
    return None if place is None else len(items) - 1 - place


def _sum(run: Run, items: Sequence[Any], body: Evaluate, cell: int, _: Evaluate | None) -> object:
    total: object = 0
    for run.cells[cell] in items:
        total = add(run, body(run), total)
    return total


def _group_by(run: Run, items: Sequence[Any], body: Evaluate, cell: int, _: Evaluate | None) -> object:
    groups: dict[object, list[object]] = {}
    for item in items:
        run.cells[cell] = item
        key = body(run)
        if kind_of(key) not in _KEYS:
            raise Fault(f"groupBy cannot group by {kind_of(key)}")
        groups.setdefault(key, []).append(item)
    return groups


def _sort_by(run: Run, items: Sequence[Any], body: Evaluate, cell: int, order: Evaluate | None) -> object:
    way = order(run) if order else "asc"
    keys = []
    for run.cells[cell] in items:
        keys.append(body(run))
    return ordered(run, list(items), keys, way)


def _reduce(run: Run, items: Sequence[Any], body: Evaluate, cell: int, start: Evaluate | None) -> object:
    if not start and not items:
        raise Fault("reduce of an empty list needs a value to start from")
    done = 0 if start else 1
    result = start(run) if start else items[0]
    for place in range(done, len(items)):
        run.cells[cell], run.cells[cell + INDEX], run.cells[cell + ACC] = items[place], place, result
        result = body(run)
    return result


DRIVERS: dict[str, Driver] = {
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
