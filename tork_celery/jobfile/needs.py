"""Checks of the key `needs` in a list of tasks."""

import difflib
from collections.abc import Iterator, Mapping, Sequence

from tork_celery import expr
from tork_celery.domain.definition import TaskDefinition
from tork_celery.domain.task_graph import has_needs
from tork_celery.jobfile.source import Path

_SIMILARITY = 0.7
_MOST_COMPARED = 1_000
_LONGEST_COMPARED = 64


def faults(tasks: Sequence[TaskDefinition]) -> Iterator[tuple[Path, str]]:
    """Yield a fault for each need that is not exactly one task above the one that needs it."""
    if not has_needs(tasks):
        return
    indexes = _indexes_by_key(tasks)
    for index, task in enumerate(tasks):
        for number, need in enumerate(task.needs or ()):
            if fault := _fault(need, index, indexes, tasks):
                yield (index, "needs", number), fault


def _indexes_by_key(tasks: Sequence[TaskDefinition]) -> dict[str, list[int]]:
    """Return the indexes of the tasks that have a name or var, by that."""
    indexes: dict[str, list[int]] = {}
    for index, task in enumerate(tasks):
        for key in {task.name, task.var}:
            if key and not expr.is_template(key):
                indexes.setdefault(key, []).append(index)
    return indexes


def _fault(
    need: str, index: int, indexes: Mapping[str, list[int]], tasks: Sequence[TaskDefinition]
) -> str | None:
    found = indexes.get(need, [])
    if len(found) > 1:
        return f"{len(found)} tasks of this list have the name or var `{need}`; give them different names"
    if not found:
        return _unknown(need, index, tasks)
    if found[0] == index:
        return "a task cannot need itself"
    if found[0] > index:
        return f"`{need}` is further down; move it above this task, since a task can only need tasks above it"
    return None


def _unknown(need: str, index: int, tasks: Sequence[TaskDefinition]) -> str:
    if expr.is_template(need):
        return "must be the name or var of a task above, without {{ }}"
    nearest = tasks[max(0, index - _MOST_COMPARED) : index]
    keys = {key for task in nearest for key in (task.name, task.var) if key and not expr.is_template(key)}
    plain = {key[:_LONGEST_COMPARED].lower(): key for key in keys}
    similar = difflib.get_close_matches(need[:_LONGEST_COMPARED].lower(), plain, n=1, cutoff=_SIMILARITY)
    if similar:
        return f"no task above has this name or var; did you mean `{plain[similar[0]]}`?"
    return "no task above in this list has this name or var"
