"""The tasks of a job in the course of a plan."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tork_celery.domain.model import Task
from tork_celery.domain.plan import ItemBatch, TaskReader


class PlannedTasks:
    """Stored tasks with the changes of a plan, and the tasks that the plan adds."""

    def __init__(self, task_reader: TaskReader) -> None:
        self._task_reader = task_reader
        self._changed: dict[str, Task] = {}
        self._added: dict[str, Task] = {}
        self._unstarted_children: dict[str, deque[Task]] = {}
        self._read_children: dict[str, int] = {}
        self._items: dict[str, tuple[Sequence[Any], int]] = {}
        self._taken_items: list[ItemBatch] = []

    @property
    def changed(self) -> Sequence[Task]:
        return tuple(self._changed.values())

    @property
    def added(self) -> Sequence[Task]:
        return tuple(self._added.values())

    @property
    def added_items(self) -> Sequence[ItemBatch]:
        """The items, in batches, for which the plan has added no children."""
        return tuple(
            ItemBatch(task_id=task_id, first=first, items=items[first : first + batch])
            for task_id, (items, batch) in self._items.items()
            for first in range(self.get(task_id).created_children, len(items), batch)
        )

    @property
    def taken_items(self) -> Sequence[ItemBatch]:
        """The stored items for which the plan has added children."""
        return tuple(self._taken_items)

    def get(self, task_id: str) -> Task:
        """Return a task as it is after the plan so far. Raises LookupError."""
        return self._added.get(task_id) or self._changed.get(task_id) or self._task_reader.task(task_id)

    def add(self, task: Task) -> None:
        self._added[task.id] = task

    def change(self, task: Task) -> None:
        """Replace a stored or added task by its new version."""
        rows = self._added if task.id in self._added else self._changed
        rows[task.id] = task

    def set_items(self, task_id: str, items: Sequence[Any], *, batch: int) -> None:
        """Set the items of an `each` that the plan starts. Its children are added in batches of this size."""
        self._items[task_id] = (items, batch)

    def next_items(self, parent: Task) -> Sequence[Any]:
        """Return the items of the children of an `each` that are to be added next."""
        if parent.id in self._items:
            items, batch = self._items[parent.id]
            return items[parent.created_children : parent.created_children + batch]
        stored = self._task_reader.item_batch(parent, parent.created_children)
        self._taken_items.append(stored)
        return stored.items

    def add_children(self, parent: Task, children: Sequence[Task]) -> Task:
        """Add the next children of a composite, in order. Returns the changed composite."""
        for child in children:
            self.add(child)
        self._unstarted_children[parent.id] = deque(children)
        changed = replace(parent, created_children=parent.created_children + len(children))
        self.change(changed)
        return changed

    def next_child(self, parent_id: str, *, read_ahead: int) -> Task:
        """Return the next child of a composite that is to start; it is not returned twice.

        If the plan has not added the children, they are read from the datastore, `read_ahead` at a time.
        """
        children = self._unstarted_children.setdefault(parent_id, deque())
        if not children:
            already_read = self._read_children.get(parent_id, 0)  # started by this plan, stored as CREATED
            stored = self._task_reader.created_children(parent_id, already_read + read_ahead)
            children.extend(stored[already_read:])
            self._read_children[parent_id] = already_read + len(children)
        return children.popleft()
