"""The steps that threads of this process run or follow, and how other threads kill or detach them."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from tork_celery.domain.errors import TorkError, Unavailable
from tork_celery.domain.model import StepRef
from tork_celery.runtime.protocol import AlreadyStarted, Detached, StepExit

log = structlog.get_logger(__name__)

KILLED_BEFORE_START = StepExit(code=137, note="stopped before it started")
_REMEMBERED_KILLS = 1024
_CLOSE_TIMEOUT_S = 2.0


class RunningStep:
    """One step in progress.

    The thread that has the step calls `may_continue`, `mark_started` and `interruptible`. Other threads call
    `kill` and `detach`.
    """

    def __init__(self, kill_grace_s: float | None = None) -> None:
        self._lock = threading.Lock()
        self._kill_grace_s = kill_grace_s
        self._detached = False
        self._kill: Callable[[float], object] | None = None
        self._interrupts: list[Callable[[], None]] = []
        self.kill_failed = False
        """Whether the step was to be killed, and could not be."""

    def may_continue(self) -> bool:
        """Return False once a kill was requested. Raises Detached once the step was detached."""
        with self._lock:
            if self._detached:
                raise Detached
            return self._kill_grace_s is None

    def mark_started(self, kill: Callable[[float], object]) -> None:
        """Register `kill`, which takes a grace period in seconds, for the step that runs from now on.

        A kill that was requested while the step started is carried out here.
        """
        with self._lock:
            self._kill = kill
            grace_s = self._kill_grace_s
        if grace_s is not None:
            kill(grace_s)

    @contextmanager
    def interruptible(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Let other threads interrupt a blocking call by `interrupt`.

        That happens when the step is detached, killed before it started, or cannot be killed. Nested contexts
        are all interrupted. Raises Detached instead of the Unavailable that the interruption of a detached
        step causes.
        """
        with self._lock:
            if self._detached:
                raise Detached
            self._interrupts.append(interrupt)
        try:
            yield
        except Unavailable:
            self.may_continue()
            raise
        finally:
            with self._lock:
                self._interrupts.remove(interrupt)

    def kill(self, grace_s: float) -> None:
        with self._lock:
            self._kill_grace_s = grace_s
            kill = self._kill
        if kill is None:
            self._interrupt_all()
            return
        try:
            kill(grace_s)
        except Unavailable:  # so the thread that has the step may wait for nothing
            self.kill_failed = True
            self._interrupt_all()
            raise

    def detach(self) -> None:
        with self._lock:
            self._detached = True
        self._interrupt_all()

    def _interrupt_all(self) -> None:
        with self._lock:
            interrupts = list(self._interrupts)
        for interrupt in interrupts:
            interrupt()


class RunningSteps:
    """All steps in progress. A step that was killed before it is entered here never starts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._steps: dict[StepRef, RunningStep] = {}
        self._killed: OrderedDict[StepRef, float] = OrderedDict()
        self._detached = False

    @contextmanager
    def enter(self, ref: StepRef) -> Iterator[RunningStep]:
        """Reserve the step for this thread. Raises Detached; AlreadyStarted when another thread has it."""
        with self._lock:
            if self._detached:
                raise Detached
            if ref in self._steps:
                raise AlreadyStarted(f"step {ref} is running in this process")
            step = self._steps[ref] = RunningStep(self._killed.get(ref))
        try:
            yield step
        finally:
            with self._lock:
                del self._steps[ref]

    def kill(self, ref: StepRef, grace_s: float) -> bool:
        """Kill the step, and remember the kill for a later `enter`. Return whether a thread has the step."""
        with self._lock:
            step = self._steps.get(ref)
            self._killed[ref] = grace_s
            if len(self._killed) > _REMEMBERED_KILLS:
                self._killed.popitem(last=False)
        if step is not None:
            step.kill(grace_s)
        return step is not None

    def forget(self, ref: StepRef) -> None:
        """Forget that the step was killed."""
        with self._lock:
            self._killed.pop(ref, None)

    def detach(self) -> None:
        """Detach all steps, and reject all later ones."""
        with self._lock:
            self._detached = True
            steps = list(self._steps.values())
        for step in steps:
            step.detach()


class KillTimers:
    """Timers that kill steps whose time is up, one for each step."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._timers: dict[StepRef, threading.Timer] = {}

    def start(self, ref: StepRef, delay_s: float, kill: Callable[[], object]) -> None:
        """Call `kill` after `delay_s` seconds. An earlier timer of the step is cancelled."""
        timer = threading.Timer(delay_s, _kill, [ref, kill])
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
        """Cancel all timers, and wait for a kill in progress, for a few seconds."""
        with self._lock:
            timers = list(self._timers.values())
            self._timers.clear()
        for timer in timers:
            timer.cancel()
            timer.join(_CLOSE_TIMEOUT_S)


def _kill(ref: StepRef, kill: Callable[[], object]) -> None:
    try:
        kill()
    except TorkError as error:
        log.warning("runtime.kill_failed", step=str(ref), reason=str(error))
