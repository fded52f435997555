"""Definitions of jobs, tasks and steps, as a validated job file has them."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of each step of a task, such as cpus "0.5" and memory "500m"."""

    cpus: str | None = None
    memory: str | None = None


def limits_of(given: Limits | None, default: Limits | None) -> Limits | None:
    """Return the given limits, completed by the defaults."""
    if given is None or default is None:
        return given or default
    return Limits(cpus=given.cpus or default.cpus, memory=given.memory or default.memory)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRetry:
    """Factor by which the memory limit grows after a step exceeded it, up to `max`."""

    factor: float
    max: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Number of retries of a failed task, the back-off between them, and the failures that are retried (see
    `domain.retry`)."""

    limit: int
    initial_delay: str = "1s"
    scaling_factor: float = 2.0
    max_delay: str = "1h"
    exit_codes: tuple[int, ...] = ()
    memory: MemoryRetry | None = None
    timeouts: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A mount of the type volume, bind or tmpfs. `opts` has the size and mode of a tmpfs."""

    type: str
    source: str | None = None
    target: str | None = None
    opts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """Credentials of the registry of an image."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """An HTTP request that a sidecar must answer with a status below 400 before the main step starts."""

    path: str
    port: int
    timeout: str = "1m"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """An HTTP request for each event of a kind. `url` and the values of `headers` are templates, `if_` is an
    expression."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    event: str = "job.StateChange"
    if_: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Permission to see and control a job: of the named user, or of all users with the named role."""

    user: str | None = None
    role: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoDelete:
    """Removal of a job, the duration `after` its end."""

    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Concurrency:
    """At most `limit` jobs with the same `key` are active; the default is 1. Both may be templates.

    A further job waits if `policy` is "queue", the default, and is rejected if it is "reject".
    """

    key: str
    limit: int | str | None = None
    policy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """A request of the client to wait for the end of the job, for at most `timeout`."""

    timeout: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a scheduled job creates jobs. On the jobs that it creates, `id` is that of the scheduled job.

    The defaults are UTC for `timezone`, "none" for `catch_up` and "allow" for `overlap`.
    """

    cron: str
    timezone: str | None = None
    catch_up: str | None = None
    within: str | None = None
    overlap: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowFailure:
    """The exit codes with which a task may fail without failing its job."""

    exit_codes: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDefinition:
    """A container to run: a pre or post step, or the main step of a task."""

    name: str | None = None
    description: str | None = None
    image: str | None = None
    run: str | None = None
    cmd: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    registry: Registry | None = None
    timeout: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar(StepDefinition):
    """A container that runs beside the main step."""

    probe: Probe | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel:
    """Tasks that run at the same time."""

    tasks: tuple["TaskDefinition", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Each:
    """A task that runs once for each item of a list.

    `list` is an expression. `var` is the name of the item in expressions of the task. At most `concurrency`
    children run at a time; 0 means all.
    """

    list: str
    task: "TaskDefinition"
    var: str = "item"
    concurrency: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Subjob:
    """A job that a task starts. The task waits for its end unless it is `detached`."""

    name: str
    tasks: tuple["TaskDefinition", ...]
    description: str | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    output: str | None = None
    detached: bool = False
    auto_delete: AutoDelete | None = None
    webhooks: tuple[Webhook, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDefinition(StepDefinition):
    """A task: a container to run or, with one of `parallel`, `each` and `subjob`, a composite.

    `needs` has names and vars of tasks above it in the same list; None means that the key is left out.
    `priority` is a string if it is a template that has not been rendered.
    """

    workdir: str | None = None
    queue: str | None = None
    pre: tuple[StepDefinition, ...] = ()
    post: tuple[StepDefinition, ...] = ()
    sidecars: tuple[Sidecar, ...] = ()
    mounts: tuple[Mount, ...] = ()
    volumes: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    limits: Limits | None = None
    gpus: str | None = None
    retry: Retry | None = None
    var: str | None = None
    if_: str | None = None
    needs: tuple[str, ...] | None = None
    allow_failure: bool | AllowFailure | None = None
    tags: tuple[str, ...] = ()
    priority: int | str | None = None
    parallel: Parallel | None = None
    each: Each | None = None
    subjob: Subjob | None = None

    @property
    def is_composite(self) -> bool:
        return any((self.parallel, self.each, self.subjob))

    @property
    def children(self) -> tuple["TaskDefinition", ...]:
        """The tasks in the block of a composite."""
        if self.parallel:
            return self.parallel.tasks
        if self.each:
            return (self.each.task,)
        return self.subjob.tasks if self.subjob else ()

    def child(self, index: int) -> "TaskDefinition":
        """Return the definition of a child of a `parallel` or `each`."""
        return self.each.task if self.each else self.children[index]

    @property
    def steps(self) -> tuple[StepDefinition, ...]:
        """All steps in order: pre, main, post."""
        return (*self.pre, self, *self.post)

    @property
    def main(self) -> int:
        """Index of the main step in `steps`."""
        return len(self.pre)

    @property
    def all_mounts(self) -> tuple[Mount, ...]:
        """All mounts, including those of the short form `volumes`."""
        return self.mounts + tuple(Mount(type="volume", target=path) for path in self.volumes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """Values of fields that tasks of a job omit."""

    retry: Retry | None = None
    limits: Limits | None = None
    timeout: str | None = None
    queue: str | None = None
    priority: int | str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDefinition:
    """A job.

    `hidden` has the values to mask that are neither in `secrets` nor in `inputs`: those of its tasks and
    webhooks, and on a subjob those of its parents, which its inputs may contain. `fail_fast` is None if the
    key is left out, which means true.
    """

    name: str
    tasks: tuple[TaskDefinition, ...]
    description: str | None = None
    tags: tuple[str, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    output: str | None = None
    timeout: str | None = None
    concurrency: Concurrency | None = None
    defaults: Defaults | None = None
    webhooks: tuple[Webhook, ...] = ()
    permissions: tuple[Permission, ...] = ()
    auto_delete: AutoDelete | None = None
    wait: Wait | None = None
    schedule: Schedule | None = None
    fail_fast: bool | None = None
    hidden: tuple[str, ...] = ()
