"""What a planner reads, and the plan that it returns."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tork_celery import expr
from tork_celery.domain.dispatched import NOTHING, Dispatched
from tork_celery.domain.model import Job, Task
from tork_celery.domain.states import TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemBatch:
    """Consecutive items of an `each`, the first of which has the index `first`."""

    task_id: str
    first: int
    items: Sequence[Any]


@dataclass(frozen=True, slots=True)
class ListedTask:
    """The place of a task in a list: the tasks of the job (`parent_id` is None) or those of a `parallel`."""

    parent_id: str | None
    index: int


@dataclass(frozen=True, slots=True)
class UnmetNeeds:
    """The number of needs of a task that have not ended; and the name of the task whose failure keeps it from
    running."""

    number: int
    failed: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingTask:
    """A task without a row in `tasks`. It waits for needs or, without any, for a plan that starts it.

    `is_new` says that it has no row in `waiting_tasks` either.
    """

    place: ListedTask
    needs: "UnmetNeeds"
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The rows to store, and the tasks that wait for a node then.

    job: the job in its new state.
    results: results of tasks by their `var`, which are new or replace earlier ones.
    removed_results: vars whose stored results are removed before that.
    changed: stored tasks in their new state.
    added: new tasks.
    redefined: ids of the changed tasks whose definition changed too, because they were started.
    scheduled: the changed and added tasks that are in their queues now.
    stop: if set, all other active tasks of the job end in this state.
    stops_children: whether a composite has failed that may have active children, which are to be stopped.
    subjobs: plans of jobs that tasks of this job start.
    partly_started: ids of composites with children that another plan has to start; the id of the job, if it
        has such tasks.
    waiting: tasks that are new in `waiting_tasks`, or have fewer unmet needs.
    started: places of waiting tasks that this plan starts.
    added_items: items of composites whose children another plan has to add.
    taken_items: items that an earlier plan has added and whose children this plan adds.
    dispatched: what the plan adds to its outermost job; `restarted` says that earlier additions no longer
        count.
    superseded: positions of the tasks of the job whose runs so far are not those of the current run.
    """

    job: Job
    results: Mapping[str, str] = field(default_factory=dict)
    removed_results: frozenset[str] = frozenset()
    changed: tuple[Task, ...] = ()
    added: tuple[Task, ...] = ()
    redefined: frozenset[str] = frozenset()
    scheduled: tuple[Task, ...] = ()
    stop: TaskState | None = None
    stops_children: bool = False
    subjobs: tuple["Plan", ...] = ()
    partly_started: tuple[str, ...] = ()
    waiting: tuple[WaitingTask, ...] = ()
    started: tuple[ListedTask, ...] = ()
    added_items: tuple[ItemBatch, ...] = ()
    taken_items: tuple[ItemBatch, ...] = ()
    dispatched: Dispatched = NOTHING
    restarted: bool = False
    superseded: tuple[int, ...] = ()

    @property
    def queues(self) -> set[str]:
        """The queues of the scheduled tasks, with those of the subjobs."""
        own = {task.queue for task in self.scheduled}
        return own.union(*(subjob.queues for subjob in self.subjobs))


class TaskReader(Protocol):
    """The stored tasks of a job, and their results."""

    def task(self, task_id: str) -> Task:
        """Return the task with this id. Raises LookupError."""

    def current_run(self, job_id: str) -> Sequence[Task]:
        """Return the top-level tasks of the current run of a job. Those of a position are in order of
        creation."""

    def created_children(self, parent_id: str, limit: int) -> Sequence[Task]:
        """Return the first `limit` children of a composite that are CREATED, in order of their index."""

    def item_batch(self, task: Task, first: int) -> ItemBatch:
        """Return the stored items of an `each` that begin with this index. Raises LookupError."""

    def unmet_needs(
        self, job_id: str, parent_id: str | None, indexes: Sequence[int]
    ) -> Mapping[int, UnmetNeeds]:
        """Return the unmet needs, by index, of those of the tasks of a list that are waiting."""

    def ready(self, job_id: str, parent_id: str | None, limit: int) -> Mapping[int, UnmetNeeds]:
        """Return the first `limit` waiting tasks of a list without unmet needs, by index."""

    def results(self, job_id: str) -> expr.MapSource:
        """Return the results of a job, by their `var`."""

    def dispatched(self, job_id: str) -> Dispatched:
        """Return what an outermost job and its subjobs have dispatched."""


@dataclass(frozen=True, slots=True)
class JobResults:
    """The stored results of a job with those that a plan adds, and without those that it removes."""

    stored: expr.MapSource
    added: Mapping[str, str]
    removed: frozenset[str] = frozenset()

    def get(self, var: str, /) -> str | None:
        if var in self.added:
            return self.added[var]
        return None if var in self.removed else self.stored.get(var)

    def items(self) -> Iterator[tuple[str, str]]:
        for var, result in self.stored.items():
            if var not in self.added and var not in self.removed:
                yield var, result
        yield from self.added.items()


class NoStoredTasks:
    """Task reader for the first plan of a job, which has no stored task."""

    def task(self, task_id: str) -> Task:
        raise LookupError(task_id)

    def current_run(self, job_id: str) -> Sequence[Task]:
        raise LookupError(job_id)

    def created_children(self, parent_id: str, limit: int) -> Sequence[Task]:
        raise LookupError(parent_id, limit)

    def item_batch(self, task: Task, first: int) -> ItemBatch:
        raise LookupError(task.id, first)

    def unmet_needs(
        self, _job_id: str, _parent_id: str | None, _indexes: Sequence[int]
    ) -> Mapping[int, UnmetNeeds]:
        return {}

    def ready(self, job_id: str, parent_id: str | None, limit: int) -> Mapping[int, UnmetNeeds]:
        raise LookupError(job_id, parent_id, limit)

    def results(self, _job_id: str) -> expr.MapSource:
        return {}

    def dispatched(self, _job_id: str) -> Dispatched:
        return NOTHING


NO_STORED_TASKS = NoStoredTasks()


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomSource:
    """Source of ids for new jobs and tasks, and of random numbers for expressions.

    `randbelow(n)` returns a random integer from 0 to n - 1, as `secrets.randbelow` does.
    """

    new_id: Callable[[], str]
    randbelow: Callable[[int], int]
