"""The steps that threads of this process run or follow, as others see them who stop or leave them."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from tork_celery.domain.errors import TorkError, Unavailable
from tork_celery.domain.model import StepRef
from tork_celery.runtime.protocol import AlreadyRun, Detached, StepExit

log = structlog.get_logger(__name__)

NEVER_STARTED = StepExit(code=137, note="stopped before it started")
_REMEMBERED_KILLS = 1024


class RunningStep:
    """One step under way. Its own thread calls `proceed`, `began`, `blocking`; others `stop`, `leave`."""

    def __init__(self, kill_grace_s: float | None = None) -> None:
        self._lock = threading.Lock()
        self._kill_grace_s = kill_grace_s
        self._detached = False
        self._end: Callable[[float], object] | None = None
        self._wake: Callable[[], None] | None = None

    def proceed(self) -> bool:
        """Whether to go on: False once the step is to be stopped. Raises Detached once it was left."""
        with self._lock:
            if self._detached:
                raise Detached
            return self._kill_grace_s is None

    def began(self, end: Callable[[float], object]) -> None:
        """The step runs now, and `end` ends it. What asked for its end while it started is served here."""
        with self._lock:
            self._end = end
            grace_s = self._kill_grace_s
        if grace_s is not None:
            end(grace_s)

    @contextmanager
    def blocking(self, wake: Callable[[], None]) -> Iterator[None]:
        """Within this, the step's thread waits for something, and `wake` makes it look up: when the step is
        left, or stopped before it began. What fails because of that raises Detached."""
        with self._lock:
            self._wake = wake
            if self._detached:
                raise Detached
        try:
            yield
        except Unavailable:
            self.proceed()
            raise
        finally:
            with self._lock:
                self._wake = None

    def kill(self, grace_s: float) -> None:
        with self._lock:
            self._kill_grace_s = grace_s
            end, wake = self._end, self._wake
        if end is not None:
            end(grace_s)
        elif wake is not None:
            wake()

    def detach(self) -> None:
        with self._lock:
            self._detached = True
            wake = self._wake
        if wake is not None:
            wake()


class RunningSteps:
    """All of them. A step that was stopped before it was here does not start when it comes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._steps: dict[StepRef, RunningStep] = {}
        self._killed: OrderedDict[StepRef, float] = OrderedDict()
        self._detached = False

    @contextmanager
    def enter(self, ref: StepRef) -> Iterator[RunningStep]:
        """Raises Detached, and AlreadyRun when another thread has the step."""
        with self._lock:
            if self._detached:
                raise Detached
            if ref in self._steps:
                raise AlreadyRun(f"step {ref} is under way in this process")
            step = self._steps[ref] = RunningStep(self._killed.get(ref))
        try:
            yield step
        finally:
            with self._lock:
                del self._steps[ref]

    def kill(self, ref: StepRef, grace_s: float) -> bool:
        """Stop the step, or remember to. Whether a thread of this process has it."""
        with self._lock:
            step = self._steps.get(ref)
            self._killed[ref] = grace_s
            if len(self._killed) > _REMEMBERED_KILLS:
                self._killed.popitem(last=False)
        if step is not None:
            step.kill(grace_s)
        return step is not None

    def forget(self, ref: StepRef) -> None:
        """The step is over: whether it was stopped matters no more."""
        with self._lock:
            self._killed.pop(ref, None)

    def detach(self) -> None:
        with self._lock:
            self._detached = True
            steps = list(self._steps.values())
        for step in steps:
            step.detach()


class KillTimers:
    """Kills what has not ended within the time that it was given."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._timers: dict[StepRef, threading.Timer] = {}

    def give(self, ref: StepRef, grace_s: float, kill: Callable[[], object]) -> None:
        timer = threading.Timer(grace_s, _expire, [ref, kill])
        timer.daemon = True
        with self._lock:
            former = self._timers.get(ref)
            self._timers[ref] = timer
        if former is not None:
            former.cancel()
        timer.start()

    def cancel(self, ref: StepRef) -> None:
        with self._lock:
            timer = self._timers.pop(ref, None)
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        """No kill is under way, or will be, when this returns."""
        with self._lock:
            timers = list(self._timers.values())
            self._timers.clear()
        for timer in timers:
            timer.cancel()
            timer.join()


def _expire(ref: StepRef, kill: Callable[[], object]) -> None:
    try:
        kill()
    except TorkError as error:
        log.warning("runtime.kill_failed", step=str(ref), reason=str(error))
