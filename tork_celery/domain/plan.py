"""What a planner reads, and the plan that it returns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tork_celery.domain.model import Job, Task
from tork_celery.domain.states import TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The rows to store and the tasks to send, in that order.

    job: the job in its new state.
    changed: stored tasks in their new state.
    added: new tasks.
    redefined: ids of the changed tasks whose definition changed too, because they were started.
    send: the changed and added tasks that need a message.
    stop: if set, all other active tasks of the job end in this state.
    subjobs: plans of jobs that tasks of this job start.
    partly_started: ids of composites with children that another plan has to start.
    """

    job: Job
    changed: tuple[Task, ...] = ()
    added: tuple[Task, ...] = ()
    redefined: frozenset[str] = frozenset()
    send: tuple[Task, ...] = ()
    stop: TaskState | None = None
    subjobs: tuple["Plan", ...] = ()
    partly_started: tuple[str, ...] = ()


class TaskReader(Protocol):
    """The stored tasks of a job."""

    def task(self, task_id: str) -> Task:
        """Return the task with this id. Raises LookupError."""

    def created_children(self, parent_id: str, limit: int) -> Sequence[Task]:
        """Return the first `limit` children of a composite that are CREATED, in order of their index."""


class NoStoredTasks:
    """Task reader for a plan that starts a top-level task: it needs no stored task."""

    def task(self, task_id: str) -> Task:
        raise LookupError(task_id)

    def created_children(self, parent_id: str, limit: int) -> Sequence[Task]:
        raise LookupError(parent_id, limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomSource:
    """Source of ids for new jobs and tasks, and of random numbers for expressions.

    `randbelow(n)` returns a random integer from 0 to n - 1, as `secrets.randbelow` does.
    """

    new_id: Callable[[], str]
    randbelow: Callable[[int], int]
