"""What a runtime promises. `tests/runtime/runtime_contract.py` holds every implementation to it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, Protocol

from tork_celery.domain.definition import Limits, Mount, Probe, StepDefinition
from tork_celery.domain.model import StepRef

MAX_RESULT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRun:
    """All that a runtime needs to know to run one step. Mounts of type volume are shared by the steps of a
    task delivery and are made with the first step that names them. `networks` are joined by name."""

    ref: StepRef
    job_id: str
    definition: StepDefinition
    env: Mapping[str, str] = field(default_factory=dict)
    workdir: str | None = None
    mounts: tuple[Mount, ...] = ()
    networks: tuple[str, ...] = ()
    limits: Limits | None = None
    gpus: str | None = None
    sidecars: tuple["SidecarRun", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarRun(StepRun):
    """What runs beside a step, in a network with it, from when all probes have passed. It has a reference of
    its own, to be discarded like that of a step."""

    probe: Probe | None = None


class Stream(Enum):
    """Where a piece of a step's output comes from."""

    STDOUT = 1
    STDERR = 2
    NOTE = 3  # said by the system itself: a pull's progress, say


class Sink(Protocol):
    """Takes what a step prints, from the one thread that reads it. It may block for a moment, no longer:
    a reader that stalls stalls the container."""

    def __call__(self, stream: Stream, data: bytes, /) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StepExit:
    """How a step ended. `output` is what it wrote to TORK_OUTPUT, the first MAX_RESULT_BYTES and one byte
    more where there was more; None or empty when it wrote nothing. `note` says more about the end than the
    code does: that the memory limit was exceeded, say. `unseen`: it had ended before it was followed."""

    code: int
    output: bytes | None = None
    note: str | None = None
    unseen: bool = False


class Leftovers(NamedTuple):
    """That something is left on this host of what a node made for one delivery of a task."""

    node: str
    task_id: str
    delivery: int


class Detached(Exception):
    """The runtime was told to leave its steps running (`Runtime.leave`)."""


class AlreadyRun(Exception):
    """An earlier `run` of this reference started the step, and it is still there: `follow` it."""


class Runtime(Protocol):
    """Runs steps. Safe to use from many threads; every method may be called again after a crash."""

    adopts: bool
    """Whether a step outlives the process that started it, and can be followed again."""

    def run(self, run: StepRun, sink: Sink, *, started: Callable[[], None]) -> StepExit:
        """Run the step to its end; what it prints goes to `sink`, in order, before this returns.

        Its sidecars start before it. `started` is called once, when its first container has started (not
        while an image is pulled).
        What it used is kept until `discard`, so that a crash before its outcome is stored loses nothing.
        A step that was stopped before it started ends with the code 137, and `started` is not called unless
        a sidecar had started.
        Raises StepFailed (the step can never run as written), EngineUnavailable (the machinery's fault;
        the step may be running all the same), Detached, and AlreadyRun, never touching what is there, when
        the step was started before. What an earlier `run` left of a step that never started is replaced, with
        its sidecars.
        """

    def follow(self, ref: StepRef, sink: Sink) -> StepExit | None:
        """Like `run`, for a step that an earlier process started: its output from the very beginning,
        then its exit. None when there is nothing to follow (never started, or gone), and nothing is
        left of it then.
        """

    def kill(self, ref: StepRef, *, grace_s: float = 0.0) -> None:
        """End the step: TERM, then KILL after `grace_s`; at once with 0. `run` or `follow` then returns
        in its own thread; a `run` that has not started the step yet, or that comes later, never starts it.
        No error when it is not there. Raises EngineUnavailable."""

    def detach(self) -> None:
        """Let what runs run on: every `run` and `follow`, under way or to come, raises Detached soon. Where
        steps cannot outlive this process (not `adopts`), they have ended by then."""

    def progress(self, ref: StepRef) -> float | None:
        """The number 0..100 that the step last wrote to TORK_PROGRESS, if any."""

    def remove_step(self, ref: StepRef) -> None:
        """Remove what the run of one step left (its container, its exchange directory), running or not.

        Like `release`, it may return before that is done, and raises nothing for what cannot be removed: it
        is logged, and shows in `deliveries` until a later `release` succeeds."""

    def reset_step(self, ref: StepRef) -> None:
        """As `discard`, so that the step can be run again: it is done when this returns. Raises
        EngineUnavailable."""

    def remove_delivery(self, task_id: str, delivery: int) -> None:
        """Remove all that one delivery of a task left on this host: steps, volumes, networks, directories.
        It comes after the discards of the same delivery that were asked for before."""

    def leftovers(self) -> Iterable[Leftovers]:
        """All of which anything is left on this host, also what other nodes made there."""

    def collect_garbage(self) -> None:
        """Remove, soon, what is kept beyond the deliveries and was not used for long: images, say."""

    def check(self, *, within_s: float = 5.0) -> None:
        """Raises EngineUnavailable, saying what to do, when steps cannot be run now, or when no answer comes
        within that time. What has ended a step in order to stop itself does not pass this check."""

    def close(self) -> None:
        """Finish pending removals and let go of all connections."""
