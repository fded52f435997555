"""A runtime without containers: what its steps do is told beforehand."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from tork_celery.domain.errors import EngineUnavailable
from tork_celery.domain.model import StepRef
from tork_celery.runtime.protocol import Detached, Leftovers, Runtime, Sink, StepExit, StepRun, Stream

PATIENCE_S = 20.0

Started = Callable[[], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One `run` or `follow` that is under way, as the step's program sees it."""

    runtime: "FakeRuntime"
    ref: StepRef
    sink: Sink
    started: Started

    def say(self, text: str, stream: Stream = Stream.STDOUT) -> None:
        self.sink(stream, text.encode())

    def until_ended(self) -> StepExit:
        """Go on until the step is finished, stopped or left."""
        return self.runtime.wait_for_end(self.ref)


Act = StepExit | Exception | Callable[[Call], StepExit]


def succeed(call: Call) -> StepExit:
    call.started()
    return StepExit(code=0)


def hold(call: Call) -> StepExit:
    """Start, and go on until `finish`, `stop` or `leave`."""
    call.started()
    call.runtime.at_work.set()
    return call.until_ended()


class FakeRuntime(Runtime):
    """Each `run` takes the next of `acts`, each `follow` the next of `followed_by`, None included; the last
    one serves all that come after it."""

    def __init__(
        self, *acts: Act, followed_by: Iterable[Act | None] = (succeed,), adopts: bool = True
    ) -> None:
        self.adopts = adopts
        self.acts = list(acts or (succeed,))
        self.followed_by = list(followed_by)
        self.runs: list[StepRun] = []
        self.followed: list[StepRef] = []
        self.stopped: list[StepRef] = []
        self.graces_s: list[float] = []
        self.removed_steps: list[StepRef] = []
        self.removed_deliveries: list[tuple[str, int]] = []
        self.left_here: list[Leftovers] = []
        self.progresses: dict[StepRef, float] = {}
        self.closed = False
        self.tidied = 0
        self.away = False
        self.leaving = False
        self.at_work = threading.Event()
        self._changed = threading.Condition()
        self._exits: dict[StepRef, StepExit] = {}
        self._left = False

    # What tests do to it.

    def finish(self, ref: StepRef, exit_: StepExit | None = None) -> None:
        """The program of a step that holds ends by itself."""
        with self._changed:
            self._exits[ref] = exit_ or StepExit(code=0)
            self._changed.notify_all()

    def wait_for_end(self, ref: StepRef) -> StepExit:
        with self._changed:
            assert self._changed.wait_for(lambda: ref in self._exits or self._left, PATIENCE_S)
            if ref not in self._exits:
                raise Detached
            return self._exits[ref]

    # What a runtime promises.

    def run(self, run: StepRun, sink: Sink, *, started: Started) -> StepExit:
        self.runs.append(run)
        return self._act(_next(self.acts), Call(runtime=self, ref=run.ref, sink=sink, started=started))

    def follow(self, ref: StepRef, sink: Sink) -> StepExit | None:
        self.followed.append(ref)
        act = _next(self.followed_by)
        if act is None:
            return None
        return self._act(act, Call(runtime=self, ref=ref, sink=sink, started=lambda: None))

    def kill(self, ref: StepRef, *, grace_s: float = 0.0) -> None:
        if self.away:
            raise EngineUnavailable("the engine is away")
        self.stopped.append(ref)
        self.graces_s.append(grace_s)
        self.finish(ref, StepExit(code=137))

    def detach(self) -> None:
        with self._changed:
            self._left = True
            self._changed.notify_all()

    def progress(self, ref: StepRef) -> float | None:
        return self.progresses.get(ref)

    def remove_step(self, ref: StepRef) -> None:
        self.removed_steps.append(ref)

    def reset_step(self, ref: StepRef) -> None:
        self.removed_steps.append(ref)

    def remove_delivery(self, task_id: str, delivery: int) -> None:
        self.removed_deliveries.append((task_id, delivery))

    def leftovers(self) -> Iterable[Leftovers]:
        return self.left_here

    def collect_garbage(self) -> None:
        self.tidied += 1

    def check(self, *, within_s: float = 5.0) -> None:
        del within_s
        if self.leaving:
            self.leaving = False
            raise EngineUnavailable("the engine is about to stop")

    def close(self) -> None:
        self.closed = True

    def _act(self, act: Act, call: Call) -> StepExit:
        if self._left:
            raise Detached
        if isinstance(act, Exception):
            raise act
        return act if isinstance(act, StepExit) else act(call)


def _next(acts: list[T]) -> T:
    return acts.pop(0) if len(acts) > 1 else acts[0]
