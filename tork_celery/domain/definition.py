"""What a client wrote, validated: the definition of a job, its tasks and their steps. Frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that each step of a task may use, as written: cpus "0.5", memory "500m"."""

    cpus: str | None = None
    memory: str | None = None


def limits_of(given: Limits | None, default: Limits | None) -> Limits | None:
    """Those given, and each that is not from the default."""
    if given is None or default is None:
        return given or default
    return Limits(cpus=given.cpus or default.cpus, memory=given.memory or default.memory)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often a failed task runs again, and how long it waits before: `domain.retry` has the rule."""

    limit: int
    initial_delay: str = "1s"
    scaling_factor: float = 2.0
    max_delay: str = "1h"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """`type` is volume, bind or tmpfs. `opts` are those of a tmpfs: its size and mode."""

    type: str
    source: str | None = None
    target: str | None = None
    opts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """The credentials of the registry that an image is pulled from."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """The HTTP request that a sidecar must answer with a status below 400 before the main step starts."""

    path: str
    port: int
    timeout: str = "1m"


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Whom to tell of an event. `url` and the values of `headers` are templates, `if_` an expression."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    event: str = "job.StateChange"
    if_: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Who may see and control a job: a user or all who have a role, by name."""

    user: str | None = None
    role: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoDelete:
    """The job is removed so long after its end."""

    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """The client waits for the job's end, so long at the most."""

    timeout: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a scheduled job is run; on a job that it made, `id` names the scheduled job."""

    cron: str
    id: str | None = None


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
    """A task that runs once for each item of a list. `list` is an expression; `var` names the item in those
    of the task; at most `concurrency` run at a time, any number with 0."""

    list: str
    task: "TaskDefinition"
    var: str = "item"
    concurrency: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Subjob:
    """A job that runs as a task of another one, which does not wait for it when it is `detached`."""

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
    """A task as a client wrote it: a container to run or, with one of `parallel`, `each` and `subjob`, a
    composite. `priority` is text only as long as it is a template."""

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
    tags: tuple[str, ...] = ()
    priority: int | str | None = None
    parallel: Parallel | None = None
    each: Each | None = None
    subjob: Subjob | None = None

    @property
    def is_composite(self) -> bool:
        return any((self.parallel, self.each, self.subjob))

    @property
    def inner(self) -> tuple["TaskDefinition", ...]:
        """The tasks that a composite is made of."""
        if self.parallel:
            return self.parallel.tasks
        if self.each:
            return (self.each.task,)
        return self.subjob.tasks if self.subjob else ()

    def child(self, index: int) -> "TaskDefinition":
        """The definition of that child of a `parallel` or an `each`."""
        return self.each.task if self.each else self.inner[index]

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
class Defaults:
    """What holds for those tasks of a job that say nothing else."""

    retry: Retry | None = None
    limits: Limits | None = None
    timeout: str | None = None
    queue: str | None = None
    priority: int | str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDefinition:
    """A job as a client wrote it. What a subjob was given may hold secrets of its parent: their values are in
    `hidden`, and shown as little as its own."""

    name: str
    tasks: tuple[TaskDefinition, ...]
    description: str | None = None
    tags: tuple[str, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    output: str | None = None
    defaults: Defaults | None = None
    webhooks: tuple[Webhook, ...] = ()
    permissions: tuple[Permission, ...] = ()
    auto_delete: AutoDelete | None = None
    wait: Wait | None = None
    schedule: Schedule | None = None
    hidden: tuple[str, ...] = ()
