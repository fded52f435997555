"""The contract of a runtime. `tests/runtime/runtime_contract.py` tests every implementation against it."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import NamedTuple, Protocol

from tork_celery.domain.definition import Limits, Mount, Probe, StepDefinition
from tork_celery.domain.model import StepRef

MAX_RESULT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRun:
    """Everything that a runtime needs to run one step.

    All steps of a delivery share its mounts of type volume; the first step that names one creates it.
    `networks` are names of existing networks. `workdir` is an absolute path; without it a step that has
    files starts in its exchange directory. `mask` masks secrets in what the runtime cuts from a text.
    `pulling` is called with the progress of the pull of an image, which the first text names, and with None
    at its end.
    """

    ref: StepRef
    job_id: str
    definition: StepDefinition
    env: Mapping[str, str] = field(default_factory=dict)
    workdir: str | None = None
    mounts: tuple[Mount, ...] = ()
    networks: tuple[str, ...] = ()
    limits: Limits | None = None
    gpus: str | None = None
    mask: Callable[[str], str] = str
    pulling: Callable[[str | None], None] = lambda _progress: None
    sidecars: tuple["SidecarRun", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarRun(StepRun):
    """A sidecar of a step: it starts before the step and shares a private network with it.

    The step starts once the probes of all its sidecars have passed. A sidecar has its own reference, by
    which `Runtime.remove_step` removes it.
    """

    probe: Probe | None = None


class Stream(Enum):
    """The origin of a piece of a step's output."""

    STDOUT = 1
    STDERR = 2
    NOTE = 3  # written by the system itself, for example the progress of an image pull


class Sink(Protocol):
    """Consumer of a step's output.

    The thread that runs or follows the step calls it, one call at a time. A sink may block briefly: while
    it blocks, the output is not drained and the container stalls.
    """

    def __call__(self, stream: Stream, data: bytes, /) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StepExit:
    """The end of a step."""

    code: int
    """Exit code; 128 + N when signal N killed the step."""

    output: bytes | None = None
    """What the step wrote to TORK_OUTPUT, cut to MAX_RESULT_BYTES + 1 bytes, so that a reader can tell that
    the output was too long. None or empty when the step wrote nothing."""

    note: str | None = None
    """What is known beyond the exit code, for example that the memory limit was exceeded. It is a part of the
    task's error when the step failed, and a line of its log otherwise."""

    out_of_memory: bool = False
    """Whether the step failed because it exceeded its memory limit."""

    ended_before_follow: bool = False
    """Whether the step had already ended when `Runtime.follow` found it."""


class Leftovers(NamedTuple):
    """Reference to a delivery of which something is left on this host, and the node that created it."""

    node: str
    task_id: str
    delivery: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A disk of this host that steps fill: the one that `path` is on.

    `usage` returns the bytes that deliveries use there, by task id and delivery, those of other nodes of the
    host included. It may take long. Raises EngineUnavailable, OSError.
    """

    path: Path
    usage: Callable[[], Mapping[tuple[str, int], float]]


class Detached(Exception):
    """The runtime detached from its steps (`Runtime.detach`)."""


class StepRemoved(Exception):
    """Another program removed the container of a started step, or the network that it used. So how the step
    ended is unknown, or says nothing about it."""


class VolumesRemoved(Exception):
    """Another program removed a volume that earlier steps of the delivery had. The text names its target."""


class AlreadyStarted(Exception):
    """The step was started before and still exists, or a thread of this process runs it: use `follow`."""


class Runtime(Protocol):
    """Runs steps on this host.

    All methods are thread-safe. All methods but `run` are idempotent; `run` raises AlreadyStarted rather than
    start a step twice. A reference to something that does not exist is never an error. After a crash of the
    process a new runtime of the same node can call every method for the steps of the old one.
    """

    adopts: bool
    """Whether steps outlive the process that started them, so that another process can follow them."""

    def run(self, run: StepRun, sink: Sink, *, started: Callable[[], None]) -> StepExit:
        """Run the step and its sidecars, and return when the step has ended.

        All output has been passed to `sink`, in order per stream, before this method returns. An exception of
        `sink` propagates; the step may still be running then. `started` is called once, when the first
        container or process has started; pulling an image comes before that.

        The step's container and exchange directory remain until `remove_step`, so that a crash before the
        outcome is stored loses nothing. What an earlier process created for a step and never started is
        replaced.

        A step that is killed before it starts ends with exit code 137 and a note. `started` is not called
        then, unless a sidecar had started.

        Raises StepFailed when the step can never run as it is defined, EngineUnavailable when the engine does
        not answer or this host failed, EngineFailed for an error that may pass (the step may be running in
        these cases), AlreadyStarted when the step was started before (it is left untouched), StepRemoved,
        VolumesRemoved, and Detached after `detach`.
        """

    def follow(self, ref: StepRef, sink: Sink) -> StepExit | None:
        """Follow a step that an earlier process started, and return when it has ended.

        `sink` receives the whole output, from the first byte. Return None when the step never started or does
        not exist; what was left of it has been removed then.

        Raises EngineUnavailable, EngineFailed, StepRemoved, Detached, and AlreadyStarted when a thread of
        this process has the step.
        """

    def kill(self, ref: StepRef, *, grace_s: float = 0.0) -> None:
        """Kill the step: send TERM and, after `grace_s` seconds, KILL. Send KILL at once when `grace_s` is 0.

        Return without waiting for the end: `run` or `follow` returns it in its own thread. A step that is
        still being prepared, or that `run` is called for later, never starts. Safe to repeat, for example
        with a shorter `grace_s`.

        Raises EngineUnavailable.
        """

    def detach(self) -> None:
        """Stop following all steps and leave them running.

        Every current and later call of `run` and `follow` raises Detached soon. When the runtime does not
        adopt steps, they have been killed by the time their calls return. Cannot be undone.
        """

    def progress(self, ref: StepRef) -> float | None:
        """Return the percentage, 0 to 100, that the step last wrote to TORK_PROGRESS. None without one."""

    def used_bytes(self, task_id: str, delivery: int, *, enough: float = math.inf) -> float:
        """Return the disk space of the exchange directories of a delivery, those of its sidecars included.

        Any number above `enough` if that is more. Never calls the engine.
        """

    def free_space(self, ref: StepRef) -> None:
        """Free the disk space of an ended step, except for what `follow` needs to return the same exit again.

        Needs no space. Failures are logged as `runtime.removal_failed`.
        """

    def free_ended(self) -> None:
        """Free the disk space of all ended steps of this node. For a node that starts.

        Raises EngineUnavailable.
        """

    def kill_largest(self, *, at_least_bytes: float) -> bool:
        """Kill the steps of the delivery with the largest exchange directories, and free their space.

        It does not matter which node of the host has them. For a start on a full disk. Return False, and do
        nothing, if all deliveries use less than `at_least_bytes`, or if steps do not outlive their process.
        Raises EngineUnavailable.
        """

    def disks(self) -> Sequence[Disk]:
        """Return the disks of this host that steps fill; while the engine is away, those that are known."""

    def remove_step(self, ref: StepRef) -> None:
        """Remove the container of a step, running or not, and its exchange directory.

        May return before the removal is done. Failures are not raised but logged as `runtime.removal_failed`;
        `leftovers` lists the delivery until a later `remove_delivery` succeeds.
        """

    def reset_step(self, ref: StepRef) -> None:
        """Remove a step as `remove_step` does, and return when that is done, so that `run` can run it again.

        Raises EngineUnavailable.
        """

    def remove_delivery(self, task_id: str, delivery: int) -> None:
        """Remove everything that one delivery of a task left on this host: steps, volumes, networks, files.

        It does not matter which node of the host created them. May return early and logs failures, as
        `remove_step` does. Runs after all removals of the same delivery that were requested before.
        """

    def leftovers(self) -> Iterable[Leftovers]:
        """Return the deliveries of which anything is left on this host, those of its other nodes included.

        Deliveries that are running are among them. Raises EngineUnavailable.
        """

    def collect_garbage(self, *, alive: Callable[[], Collection[str]]) -> None:
        """Remove what is kept across deliveries and is no longer used: old images, what dead nodes prepared.

        `alive` returns the other nodes that are alive, and is called if needed. May return before the removal
        is done. Raises EngineUnavailable, and what `alive` raises.
        """

    def check(self, *, within_s: float = 5.0) -> None:
        """Check that steps can run now.

        Raises EngineUnavailable, with advice, when they cannot, or when there is no answer within `within_s`
        seconds. An engine that is shutting down fails the check. So a caller can tell whether a step ended on
        its own or with the engine.
        """

    def describe(self) -> str:
        """Return the kind of the runtime and the version of its engine. Raises EngineUnavailable."""

    def close(self) -> None:
        """Finish pending removals, within seconds, and close all connections.

        No `run` or `follow` may be in progress: call `detach` first.
        """
