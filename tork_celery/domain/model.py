"""What a job and a task are. Frozen: a change is a copy (`dataclasses.replace`).

Times are seconds since the epoch. The definitions are what a client wrote, validated; `Job` and `Task`
are what has become of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tork_celery.domain.queues import DEFAULT_QUEUE
from tork_celery.domain.states import JobState, Outcome, TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that each step of a task may use, as written: cpus "0.5", memory "500m"."""

    cpus: str | None = None
    memory: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often a failed task runs again, and how long it waits before: `domain.retry` has the rule."""

    limit: int
    initial_delay: str = "1s"
    scaling_factor: float = 2.0
    max_delay: str = "1h"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    type: str
    source: str | None = None
    target: str | None = None
    opts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDefinition:
    """One container to run: a pre or post step, or the part of a task that is its main step."""

    name: str | None = None
    description: str | None = None
    image: str | None = None
    run: str | None = None
    cmd: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    timeout: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRef:
    """The name of one run of one step. `delivery` fences: no two runs ever share a reference."""

    task_id: str
    delivery: int
    step: int

    def __str__(self) -> str:
        return f"{self.task_id}-{self.delivery}-{self.step}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDefinition(StepDefinition):
    """A task as a client wrote it."""

    workdir: str | None = None
    queue: str | None = None
    pre: tuple[StepDefinition, ...] = ()
    post: tuple[StepDefinition, ...] = ()
    mounts: tuple[Mount, ...] = ()
    volumes: tuple[str, ...] = ()
    limits: Limits | None = None
    retry: Retry | None = None
    var: str | None = None
    tags: tuple[str, ...] = ()
    priority: int = 0

    @property
    def steps(self) -> tuple[StepDefinition, ...]:
        """What runs in containers, in order: pre, main, post."""
        return (*self.pre, self, *self.post)

    @property
    def main(self) -> int:
        """The index of the main step in `steps`."""
        return len(self.pre)

    @property
    def all_mounts(self) -> tuple[Mount, ...]:
        """The mounts, the short form `volumes` included."""
        return self.mounts + tuple(Mount(type="volume", target=path) for path in self.volumes)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDefinition:
    """A job as a client wrote it."""

    name: str
    tasks: tuple[TaskDefinition, ...]
    description: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One attempt at one task of a job.

    `delivery` is a fencing token: whoever acts for an older one is turned away. `step` is the index of the
    step that runs or is next; `step_running` says which. `sent_at` is when a message for what is next was
    last published. `outcome` is set when the steps have ended; `state` follows once the job has moved on.
    `first_id` is the id of the first attempt, on the later ones; `attempts` counts those before this one;
    `due_at` is when it may begin.
    """

    id: str
    job_id: str
    job_name: str
    position: int
    definition: TaskDefinition
    state: TaskState
    created_at: float
    parent_id: str | None = None
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
    def ref(self) -> StepRef:
        """The step that runs or is next, in the current delivery."""
        return StepRef(task_id=self.id, delivery=self.delivery, step=self.step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job and where it stands. `position` is that of its current task, from 1; `results` are those of its
    tasks by `var`."""

    id: str
    definition: JobDefinition
    state: JobState
    created_at: float
    position: int = 0
    started_at: float | None = None
    ended_at: float | None = None
    result: str | None = None
    error: str | None = None
    progress: float = 0.0
    results: Mapping[str, str] = field(default_factory=dict)

    @property
    def task_count(self) -> int:
        return len(self.definition.tasks)
