"""A runtime without containers, and steps that run on it."""

import math
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from tork_celery.domain.definition import Defaults
from tork_celery.domain.errors import EngineUnavailable
from tork_celery.domain.model import StepRef
from tork_celery.runtime.protocol import Detached, Disk, Leftovers, Runtime, Sink, StepExit, StepRun, Stream
from tork_celery.worker.disk_guard import DiskLimits
from tork_celery.worker.host_environment import HostEnvironment
from tork_celery.worker.worker import ChainAction, Worker

NODE = "default@here"
WAIT_S = 20.0

Started = Callable[[], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCall:
    """A `run` or `follow` in progress, as the program of the step sees it."""

    runtime: "FakeRuntime"
    ref: StepRef
    sink: Sink
    started: Started

    def print(self, text: str, stream: Stream = Stream.STDOUT) -> None:
        self.sink(stream, text.encode())

    def wait_for_end(self) -> StepExit:
        """Run until the step is finished or killed. Raises Detached."""
        return self.runtime.wait_for_end(self.ref)


Program = StepExit | Exception | Callable[[StepCall], StepExit]
"""What a step does: it ends, the runtime fails, or a function runs."""


def succeed(call: StepCall) -> StepExit:
    call.started()
    return StepExit(code=0)


def run_until_finished(call: StepCall) -> StepExit:
    """Start, and run until the test calls `finish`, or the worker calls `kill` or `detach`."""
    call.started()
    call.runtime.step_started.set()
    return call.wait_for_end()


class FakeRuntime(Runtime):
    """Each `run` executes the next of `programs`, each `follow` the next of `followed`; the last ones repeat.

    None in `followed` means that there is nothing to follow.
    """

    def __init__(
        self, *programs: Program, followed: Iterable[Program | None] = (succeed,), adopts: bool = True
    ) -> None:
        self.adopts = adopts
        self.programs = list(programs or (succeed,))
        self.followed_programs = list(followed)
        self.runs: list[StepRun] = []
        self.followed: list[StepRef] = []
        self.killed: list[StepRef] = []
        self.graces_s: list[float] = []
        self.removed_steps: list[StepRef] = []
        self.freed: list[StepRef] = []
        self.ended_freed = False
        self.largest_killed: list[float] = []
        self.used: dict[tuple[str, int], float] = {}
        self.removed_deliveries: list[tuple[str, int]] = []
        self.left_on_host: list[Leftovers] = []
        self.progress_of: dict[StepRef, float] = {}
        self.closed = False
        self.alive: list[Callable[[], Collection[str]]] = []  # of each collection of garbage
        self.away = False
        self.shutting_down = False
        self.step_started = threading.Event()
        self._changed = threading.Condition()
        self._exits: dict[StepRef, StepExit] = {}
        self._detached = False

    # What tests call.

    def finish(self, ref: StepRef, exit_: StepExit | None = None) -> None:
        """End a step that runs until it is finished."""
        with self._changed:
            self._exits[ref] = exit_ or StepExit(code=0)
            self._changed.notify_all()

    def wait_for_end(self, ref: StepRef) -> StepExit:
        with self._changed:
            assert self._changed.wait_for(lambda: ref in self._exits or self._detached, WAIT_S)
            if ref not in self._exits:
                raise Detached
            return self._exits[ref]

    # The runtime.

    def run(self, run: StepRun, sink: Sink, *, started: Started) -> StepExit:
        self.runs.append(run)
        call = StepCall(runtime=self, ref=run.ref, sink=sink, started=started)
        return self._execute(_next(self.programs), call)

    def follow(self, ref: StepRef, sink: Sink) -> StepExit | None:
        self.followed.append(ref)
        program = _next(self.followed_programs)
        if program is None:
            return None
        return self._execute(program, StepCall(runtime=self, ref=ref, sink=sink, started=lambda: None))

    def kill(self, ref: StepRef, *, grace_s: float = 0.0) -> None:
        if self.away:
            raise EngineUnavailable("the engine is away")
        self.killed.append(ref)
        self.graces_s.append(grace_s)
        self.finish(ref, StepExit(code=137))

    def detach(self) -> None:
        with self._changed:
            self._detached = True
            self._changed.notify_all()

    def progress(self, ref: StepRef) -> float | None:
        return self.progress_of.get(ref)

    def remove_step(self, ref: StepRef) -> None:
        self.removed_steps.append(ref)

    def used_bytes(self, task_id: str, delivery: int, *, enough: float = math.inf) -> float:
        del enough
        return self.used.get((task_id, delivery), 0)

    def free_space(self, ref: StepRef) -> None:
        self.freed.append(ref)

    def free_ended(self) -> None:
        self.ended_freed = True

    def kill_largest(self, *, at_least_bytes: float) -> bool:
        self.largest_killed.append(at_least_bytes)
        return True

    def disks(self) -> Sequence[Disk]:
        return [Disk(path=Path("/disk"), usage=lambda: self.used)]

    def reset_step(self, ref: StepRef) -> None:
        self.removed_steps.append(ref)

    def remove_delivery(self, task_id: str, delivery: int) -> None:
        self.removed_deliveries.append((task_id, delivery))

    def leftovers(self) -> Iterable[Leftovers]:
        return self.left_on_host

    def collect_garbage(self, *, alive: Callable[[], Collection[str]]) -> None:
        self.alive.append(alive)

    def check(self, *, within_s: float = 5.0) -> None:
        del within_s
        if self.shutting_down:
            self.shutting_down = False
            raise EngineUnavailable("the engine shuts down")

    def describe(self) -> str:
        return "a fake"

    def close(self) -> None:
        self.closed = True

    def _execute(self, program: Program, call: StepCall) -> StepExit:
        if self._detached:
            raise Detached
        if isinstance(program, Exception):
            raise program
        return program if isinstance(program, StepExit) else program(call)


class MakeWorker(Protocol):
    """The fixture `make_worker`."""

    def __call__(
        self,
        runtime: Runtime,
        *,
        defaults: Defaults | None = None,
        engine_wait_s: float = 3600.0,
        cleanup_interval_s: float = 3600.0,
        disk_limits: DiskLimits | None = None,
        host_env: HostEnvironment | None = None,
        start: bool = True,
    ) -> Worker: ...


@contextmanager
def running_step(worker: Worker, runtime: FakeRuntime, ref: StepRef) -> Iterator[Future[ChainAction]]:
    """Run a step in a thread while the context lasts; yield the future of `Worker.run` once it started."""
    with ThreadPoolExecutor(1) as pool:
        action = pool.submit(worker.run, ref)
        try:
            assert runtime.step_started.wait(WAIT_S)
            yield action
        finally:
            runtime.finish(ref)


def _next(programs: list[T]) -> T:
    return programs.pop(0) if len(programs) > 1 else programs[0]
