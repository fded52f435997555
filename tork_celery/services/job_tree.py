"""The task tree of a job for people: fan-outs are folded, and tasks that need attention come first."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from sqlalchemy import Connection

from tork_celery.domain.errors import NotFound
from tork_celery.domain.model import Job, Task
from tork_celery.domain.states import TaskState
from tork_celery.services.context import ServiceContext
from tork_celery.store import jobs, task_tree, tasks

TOP_LEVEL_SIZE = 200
"""Top-level tasks of a page of the tree."""
FOLDED_SIZE = 20
"""Children of a composite that are shown until its pages are opened."""
CHILD_PAGE_SIZE = 50
_MAX_DEPTH = 6
_MAX_ROWS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeRow:
    """A task in the tree.

    `task` is the latest attempt, `attempts` has all, oldest first. `child_counts` has the number of children
    by state. `shown_children` is the number of those that the tree has.
    """

    task: Task
    depth: int
    attempts: Sequence[Task]
    child_counts: Mapping[TaskState, int] = field(default_factory=dict)
    shown_children: int = 0

    @property
    def child_count(self) -> int:
        return max(self.task.size, sum(self.child_counts.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTree:
    """A job and the rows of its tree. `more_tasks` is whether more top-level tasks follow."""

    job: Job
    rows: Sequence[TreeRow]
    now: float
    more_tasks: bool


def tree(
    context: ServiceContext, job_id: str, *, number: int = 1, opened: str | None = None, child_number: int = 1
) -> JobTree:
    """Return page `number` of the tree of a job, with page `child_number` of the children of the task
    `opened`. Raises NotFound."""
    with context.database.reading() as tx:
        job = jobs.get(tx, job_id)
        if job is None:
            raise NotFound(f"no job with the id {job_id!r}")
        offset = (number - 1) * TOP_LEVEL_SIZE
        top = task_tree.top_level(tx, job_id, offset=offset, limit=TOP_LEVEL_SIZE + 1)
        branches = _Branches(tx, opened, (child_number - 1) * CHILD_PAGE_SIZE)
        branches.read_below(top[:TOP_LEVEL_SIZE])
        attempts = task_tree.attempts(tx, [*top, *branches.tasks()])
        now = context.database.now(tx)
    rows = list(branches.rows(top[:TOP_LEVEL_SIZE], attempts, depth=0))
    return JobTree(job=job, rows=rows, now=now, more_tasks=len(top) > TOP_LEVEL_SIZE)


class _Branches:
    """The children that a tree shows, by parent, and the number of all. `opened` shows a page from `offset`
    on; other composites show their first children."""

    def __init__(self, tx: Connection, opened: str | None, offset: int) -> None:
        self._tx = tx
        self._opened = opened
        self._offset = offset
        self._children: dict[str, list[Task]] = {}
        self._counts: dict[str, Mapping[TaskState, int]] = {}

    def read_below(self, level: Sequence[Task]) -> None:
        for _ in range(_MAX_DEPTH):
            parents = [task.id for task in level if task.definition.is_composite]
            self._counts |= task_tree.child_counts(self._tx, parents)
            found = task_tree.children(self._tx, parents, limit=FOLDED_SIZE)
            if self._opened in parents:
                found[self._opened] = task_tree.child_page(
                    self._tx, self._opened, offset=self._offset, limit=CHILD_PAGE_SIZE
                )
            self._children |= found
            level = [task for siblings in found.values() for task in siblings][:_MAX_ROWS]
            if not level:
                return

    def tasks(self) -> Iterator[Task]:
        return chain.from_iterable(self._children.values())

    def rows(
        self, level: Sequence[Task], attempts: Mapping[str, Sequence[Task]], *, depth: int
    ) -> Iterator[TreeRow]:
        """Yield the rows of tasks, each before those of its children."""
        for task in level:
            below = self._children.get(task.id, [])
            yield TreeRow(
                task=task,
                depth=depth,
                attempts=attempts.get(task.first_id or task.id, [task]),
                child_counts=self._counts.get(task.id, {}),
                shown_children=len(below),
            )
            yield from self.rows(below, attempts, depth=depth + 1)


def task_attempts(context: ServiceContext, task_id: str) -> tuple[Task, Sequence[Task], frozenset[str]]:
    """Return exactly this attempt, all attempts of its task, oldest first, and the values of its job to mask.
    Raises NotFound."""
    with context.database.reading() as tx:
        task = tasks.get(tx, task_id)
        if task is None:
            raise NotFound(f"no task with the id {task_id!r}")
        first_id = task.first_id or task.id
        latest = tasks.latest_attempt(tx, first_id) or task
        attempts = task_tree.attempts(tx, [latest]).get(first_id, [task])
        return task, attempts, jobs.secrets(tx, task.job_id)
