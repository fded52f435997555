"""The steps that this process runs, and why one of them is being ended before its time."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

import structlog

from tork_celery.domain.errors import EngineUnavailable
from tork_celery.domain.model import StepRef
from tork_celery.worker.step_output import StepOutput

log = structlog.get_logger(__name__)

_KILL_AGAIN_S = 1.0


class StopReason(Enum):
    """Why a step was stopped by this worker."""

    TIMED_OUT = "timed out"
    SUPERSEDED = "the task is not this node's any more"
    CANCELLED = "a user cancelled the task"
    RELEASED = "the worker stops, and gives the task back"


@dataclass(slots=True, kw_only=True)
class ActiveStep:
    ref: StepRef
    job_id: str
    output: StepOutput
    stop_reason: StopReason | None = None
    timeout: str | None = None
    timers: list[threading.Timer] = field(default_factory=list)


class ActiveSteps:
    """Safe to use from many threads."""

    def __init__(self, kill: Callable[[StepRef, float], None], *, grace_s: float) -> None:
        """`kill` kills a step, with that many seconds between TERM and KILL; `grace_s` are those that a step
        has which a user cancels."""
        self._kill = kill
        self._grace_s = grace_s
        self._lock = threading.Condition()
        self._steps: dict[StepRef, ActiveStep] = {}

    @contextmanager
    def running(self, step: ActiveStep) -> Iterator[ActiveStep]:
        """The step is active while the context lasts; its timers end with it."""
        with self._lock:
            self._steps[step.ref] = step
        try:
            yield step
        finally:
            with self._lock:
                del self._steps[step.ref]
                self._lock.notify_all()
            for timer in step.timers:
                timer.cancel()

    def all(self) -> list[ActiveStep]:
        with self._lock:
            return list(self._steps.values())

    def wait_for_end(self, within_s: float) -> bool:
        """Whether all of them have ended by then."""
        with self._lock:
            return self._lock.wait_for(lambda: not self._steps, within_s)

    def kill(self, step: ActiveStep, why: StopReason) -> None:
        """Stop a step. The first reason counts. The runtime is told by another thread: whoever calls this may
        have leases to renew, and an engine that hangs answers late."""
        with self._lock:
            if step.stop_reason is not None or step.ref not in self._steps:
                return
            step.stop_reason = why
        grace_s = self._grace_s if why is StopReason.CANCELLED else 0.0
        self._later(step, 0.0, lambda: self._kill_active(step, grace_s))

    def kill_now(self) -> None:
        """What is being ended has no more time for it."""
        for step in self.all():
            if step.stop_reason is not None:
                self._kill_active(step, 0.0)

    def kill_after(self, step: ActiveStep, seconds: float, timeout: str) -> None:
        """Stop the step as timed out when it is still active then."""

        def expire() -> None:
            step.timeout = step.timeout or timeout
            self.kill(step, StopReason.TIMED_OUT)

        self._later(step, max(0.0, seconds), expire)

    def _kill_active(self, step: ActiveStep, grace_s: float) -> None:
        """Tell the runtime; where that does not answer, again and again while the step is active."""
        try:
            self._kill(step.ref, grace_s)
        except EngineUnavailable as error:
            log.warning("step.not_stopped", step=str(step.ref), reason=str(error))
            self._later(step, _KILL_AGAIN_S, lambda: self._kill_active(step, grace_s))

    def _later(self, step: ActiveStep, seconds: float, action: Callable[[], None]) -> None:
        """Do it then, unless the step has ended before."""
        timer = threading.Timer(seconds, action)
        timer.daemon = True
        with self._lock:
            if step.ref not in self._steps:
                return
            step.timers.append(timer)
        timer.start()
