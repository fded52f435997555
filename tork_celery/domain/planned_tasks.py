"""The tasks of a job in the course of a plan."""

from collections import deque
from collections.abc import Sequence

from tork_celery.domain.model import Task
from tork_celery.domain.plan import TaskReader


class PlannedTasks:
    """Stored tasks with the changes of a plan, and the tasks that the plan adds."""

    def __init__(self, task_reader: TaskReader) -> None:
        self._task_reader = task_reader
        self._changed: dict[str, Task] = {}
        self._added: dict[str, Task] = {}
        self._unstarted_children: dict[str, deque[Task]] = {}
        self._read_children: dict[str, int] = {}

    @property
    def changed(self) -> Sequence[Task]:
        return tuple(self._changed.values())

    @property
    def added(self) -> Sequence[Task]:
        return tuple(self._added.values())

    @property
    def added_count(self) -> int:
        return len(self._added)

    def get(self, task_id: str) -> Task:
        """Return a task as it is after the plan so far. Raises LookupError."""
        return self._added.get(task_id) or self._changed.get(task_id) or self._task_reader.task(task_id)

    def add(self, task: Task) -> None:
        self._added[task.id] = task

    def add_children(self, parent_id: str, children: Sequence[Task]) -> None:
        """Add all children of a composite, in order."""
        for child in children:
            self.add(child)
        self._unstarted_children[parent_id] = deque(children)

    def change(self, task: Task) -> None:
        """Replace a stored or added task by its new version."""
        rows = self._added if task.id in self._added else self._changed
        rows[task.id] = task

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
