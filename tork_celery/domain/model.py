"""Jobs and tasks with their state. They are frozen: a change is a copy.

Times are seconds since the epoch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from tork_celery.domain.definition import JobDefinition, TaskDefinition
from tork_celery.domain.queue_names import DEFAULT_QUEUE
from tork_celery.domain.states import (
    FailureCause,
    JobState,
    Outcome,
    TaskState,
    check_job_move,
    check_task_move,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRef:
    """Identity of one run of one step. No two runs share it: a delivery runs each step once."""

    task_id: str
    delivery: int
    step: int

    def __str__(self) -> str:
        return f"{self.task_id}-{self.delivery}-{self.step}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One attempt at one task of a job.

    All tasks:
    - `position`: of the top-level task that it is or belongs to, from 1.
    - `exit_code` and `failure_cause`: of the step that failed, if it has one.
    - `outcome`: result of the steps. It is recorded before the job is advanced and `state` changes.
    - `delivery`: fencing token, from 1. Changes on behalf of an earlier delivery are rejected.
    - `step`: index of the step that runs (`step_running`) or is next.
    - `losses`: number of deliveries that were lost with their node.
    - `sent_at`: time at which the last message for the next step was published; None while the task waits for
      room in the publishing window of its queue.
    - `job_created_at`: of its job. Tasks of the same priority start in this order.
    - `marks`: what it did with its time, from its first claim on, in the form of `domain.segments`.
    - `note`: what its worker said last on what it does or waits for.

    - `superseded`: it does not belong to the current run of its job: a restart has run it again. Set on
      top-level tasks only.

    Retries:
    - `attempts`: number of attempts before this one; `first_id` is the id of the first one.
    - `due_at`: time at which the back-off ends.

    Children of a composite:
    - `parent_id` and `index`: the composite, and the place in it, from 0.
    - `scope`: names that its expressions see in addition to those of the job.

    Composites:
    - `size`: number of children. Of these, `created_children` have rows, `started_children` were started and
      `completions` are done.
    - `concurrency`: number of children that may run at a time; 0 means all.
    - `subjob_id`: the job that a `subjob` started.
    """

    id: str
    job_id: str
    job_name: str
    position: int
    definition: TaskDefinition
    state: TaskState
    created_at: float
    job_created_at: float
    parent_id: str | None = None
    index: int = 0
    scope: Mapping[str, Any] = field(default_factory=dict)
    size: int = 0
    created_children: int = 0
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
    exit_code: int | None = None
    failure_cause: FailureCause | None = None
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
    superseded: bool = False
    marks: str = ""
    note: str = ""

    @property
    def queue(self) -> str:
        return self.definition.queue or DEFAULT_QUEUE

    @property
    def priority(self) -> int:
        """Priority, 0 to 9; 0 while it is a template, which is rendered when the task starts."""
        priority = self.definition.priority
        return priority if isinstance(priority, int) else 0

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
    """A job.

    - `done_tasks`: number of its top-level tasks that are done in the current run; `ended_tasks` counts
      those that have ended, and those that a restart does not run again.
    - `parent_id`: on a subjob, the id of the task that waits for it.
    - `root_id`: on a subjob, also a detached one, the id of the outermost job.
    - `created_by`: name of the user who submitted it.
    - `rerun_of`: the id of the job that runs again as this one.
    - `slot_key` and `slot_limit`: fewer than `slot_limit` other jobs with this key may be active with it.
    - `priority`: of its tasks without a priority of their own, if a user has changed it.
    - `delete_at`: time at which it is removed.
    - `version`: as it was read; the stored number grows with each change of the job.
    """

    id: str
    definition: JobDefinition
    state: JobState
    created_at: float
    parent_id: str | None = None
    root_id: str | None = None
    created_by: str | None = None
    delete_at: float | None = None
    rerun_of: str | None = None
    priority: int | None = None
    slot_key: str | None = None
    slot_limit: int | None = None
    done_tasks: int = 0
    ended_tasks: int = 0
    started_at: float | None = None
    ended_at: float | None = None
    result: str | None = None
    error: str | None = None
    progress: float = 0.0
    version: int = field(default=0, compare=False)

    def with_state(self, state: JobState) -> Self:
        """Return the job in another state. Raises IllegalTransition."""
        check_job_move(self.state, state)
        return replace(self, state=state)

    @property
    def position(self) -> int:
        """Number of the top-level task that it has come to: one more than are done, or 0 while PENDING."""
        return 0 if self.state is JobState.PENDING else 1 + self.done_tasks

    @property
    def task_count(self) -> int:
        return len(self.definition.tasks)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedJob(Job):
    """A job in a list. Its definition has the fields of a summary and no tasks, only their number."""

    listed_tasks: int

    @property
    def task_count(self) -> int:
        return self.listed_tasks
