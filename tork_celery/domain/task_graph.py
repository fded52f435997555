"""Which tasks of a list need which: the graph of a job's tasks, or of those of a `parallel`."""

from collections.abc import Collection, Sequence

from tork_celery.domain.definition import TaskDefinition


class TaskGraph:
    """The needs of the tasks of one list, by index from 0. Its size is linear in that of the list.

    In an `ordered` list, that of a job, a task without the key `needs` needs all tasks above it. Of these,
    the graph has only the last one that needs everything itself, and the ones after that.
    """

    def __init__(self, tasks: Sequence[TaskDefinition], *, ordered: bool) -> None:
        self.size = len(tasks)
        self.has_needs = has_needs(tasks)
        self._ordered = ordered
        self._needs = _resolved_needs(tasks, ordered=ordered) if self.has_needs else None
        self._dependents = _reversed(self._needs) if self._needs is not None else None

    def needs(self, index: int) -> Sequence[int]:
        """Return the tasks that must be done before this one may begin."""
        if self._needs is not None:
            return self._needs[index]
        return (index - 1,) if self._ordered and index else ()

    def dependents(self, index: int) -> Sequence[int]:
        """Return the tasks that need this one."""
        if self._dependents is not None:
            return self._dependents[index]
        return (index + 1,) if self._ordered and index + 1 < self.size else ()

    def roots(self) -> Sequence[int]:
        """Return the tasks that need no other one."""
        if self._needs is not None:
            return [index for index, needs in enumerate(self._needs) if not needs]
        return (0,) if self._ordered else range(self.size)

    def with_dependents(self, indexes: Collection[int]) -> set[int]:
        """Return these tasks with all that need them, directly or not."""
        found = set(indexes)
        waiting = list(indexes)
        while waiting:
            added = [index for index in self.dependents(waiting.pop()) if index not in found]
            found.update(added)
            waiting += added
        return found


def has_needs(tasks: Sequence[TaskDefinition]) -> bool:
    """Return whether a task of the list has the key `needs`."""
    return any(task.needs is not None for task in tasks)


def _resolved_needs(tasks: Sequence[TaskDefinition], *, ordered: bool) -> list[Sequence[int]]:
    by_key = dict[str, int]()
    needs: list[Sequence[int]] = []
    last_without = 0  # the last task without `needs`, or the first task
    for index, task in enumerate(tasks):
        if task.needs is not None:
            needs.append(sorted({by_key[need] for need in task.needs}))
        elif ordered:
            needs.append(range(last_without, index))
            last_without = index
        else:
            needs.append(())
        by_key |= {key: index for key in (task.name, task.var) if key}
    return needs


def _reversed(needs: Sequence[Sequence[int]]) -> list[list[int]]:
    dependents: list[list[int]] = [[] for _ in needs]
    for index, needed in enumerate(needs):
        for need in needed:
            dependents[need].append(index)
    return dependents
