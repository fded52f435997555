"""What has become of a job and its tasks. Frozen: a change is a copy (`dataclasses.replace`).

Times are seconds since the epoch. What a client wrote is in `domain.definition`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from tork_celery.domain.definition import JobDefinition, TaskDefinition
from tork_celery.domain.queue_names import DEFAULT_QUEUE
from tork_celery.domain.states import JobState, Outcome, TaskState, check_job_move, check_task_move


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRef:
    """The name of one run of one step. `delivery` fences: no two runs ever share a reference."""

    task_id: str
    delivery: int
    step: int

    def __str__(self) -> str:
        return f"{self.task_id}-{self.delivery}-{self.step}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One attempt at one task of a job.

    `delivery` is a fencing token: whoever acts for an older one is turned away. `step` is the index of the
    step that runs or is next; `step_running` says which. `sent_at` is when a message for what is next was
    last published. `outcome` is set when the steps have ended; `state` follows once the job has moved on.
    `first_id` is the id of the first attempt, on the later ones; `attempts` counts those before this one;
    `due_at` is when it may begin.

    A child of a composite has its `parent_id`, its `index` there, from 0, and in `scope` the names that its
    expressions see beside those of the job. A composite has `size` children, of which `released` have had
    their turn and `completions` are done; `concurrency` is how many of them may be at work, 0 any number. One
    that waits for a job has its `subjob_id`.
    """

    id: str
    job_id: str
    job_name: str
    position: int
    definition: TaskDefinition
    state: TaskState
    created_at: float
    parent_id: str | None = None
    index: int = 0
    scope: Mapping[str, Any] = field(default_factory=dict)
    size: int = 0
    started_children: int = 0
    completions: int = 0
    concurrency: int = 0
    subjob_id: str | None = None
    first_id: str | None = None
    attempts: int = 0
    due_at: float | None = None
    delivery: int = 1
    step: int = 0
    step_running: bool = False
    losses: int = 0
    outcome: Outcome | None = None
    node: str | None = None
    lease_until: float | None = None
    deadline_at: float | None = None
    sent_at: float | None = None
    scheduled_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    result: str | None = None
    error: str | None = None
    progress: float = 0.0

    @property
    def queue(self) -> str:
        return self.definition.queue or DEFAULT_QUEUE

    @property
    def priority(self) -> int:
        """That of a task which has been dispatched: its template, if it had one, is a number by then."""
        return int(self.definition.priority or 0)

    def with_state(self, state: TaskState) -> "Task":
        """Return the task in another state. Raises IllegalTransition."""
        check_task_move(self.state, state)
        return replace(self, state=state)

    @property
    def ref(self) -> StepRef:
        """The step that runs or is next, in the current delivery."""
        return StepRef(task_id=self.id, delivery=self.delivery, step=self.step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job and where it stands. `position` is that of its current task, from 1; `results` are those of its
    tasks by `var`. `parent_id` is that of the task which waits for it, on a subjob; `created_by` the name of
    the user who submitted it; `delete_at` is when it is to be removed."""

    id: str
    definition: JobDefinition
    state: JobState
    created_at: float
    parent_id: str | None = None
    created_by: str | None = None
    delete_at: float | None = None
    position: int = 0
    started_at: float | None = None
    ended_at: float | None = None
    result: str | None = None
    error: str | None = None
    progress: float = 0.0
    results: Mapping[str, str] = field(default_factory=dict)

    def with_state(self, state: JobState) -> Self:
        """Return the job in another state. Raises IllegalTransition."""
        check_job_move(self.state, state)
        return replace(self, state=state)

    @property
    def task_count(self) -> int:
        return len(self.definition.tasks)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedJob(Job):
    """A job as lists show it: its definition has what a summary needs and none of the tasks, only how many
    there are."""

    listed_tasks: int

    @property
    def task_count(self) -> int:
        return self.listed_tasks
