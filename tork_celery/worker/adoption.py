"""Taking up what an earlier process of this node had begun.

What the datastore says this node has is what it takes up. Each such step is published to the node's own
queue, so that it takes one of the worker's slots like any other; the thread that gets it finds the step's
container by its name, or starts it when there is none.
"""

import threading

from tork_celery.domain.model import StepRef, Task


class AdoptableSteps:
    """The steps that this node had claimed before it started, each to be taken up once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tasks: dict[StepRef, Task] = {}

    def add(self, task: Task) -> None:
        with self._lock:
            self._tasks[task.ref] = task

    def take(self, ref: StepRef) -> Task | None:
        """The task, the first time that its step is asked for."""
        with self._lock:
            return self._tasks.pop(ref, None)

    def drop(self, ref: StepRef) -> None:
        """The step is not this node's any more."""
        self.take(ref)

    def all(self) -> list[Task]:
        with self._lock:
            return list(self._tasks.values())
