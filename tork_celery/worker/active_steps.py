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

_STOP_AGAIN_S = 1.0


class Ended(Enum):
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
    ended: Ended | None = None
    timeout: str | None = None
    timers: list[threading.Timer] = field(default_factory=list)


class ActiveSteps:
    """Safe to use from many threads."""

    def __init__(self, stop: Callable[[StepRef, float], None], *, grace_s: float) -> None:
        """`stop` ends a step, with that many seconds between TERM and KILL; `grace_s` are those that a step
        has which a user cancels."""
        self._stop = stop
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

    def end(self, step: ActiveStep, why: Ended) -> None:
        """Stop a step. The first reason counts. The runtime is told by another thread: whoever calls this may
        have leases to renew, and an engine that hangs answers late."""
        with self._lock:
            if step.ended is not None or step.ref not in self._steps:
                return
            step.ended = why
        grace_s = self._grace_s if why is Ended.CANCELLED else 0.0
        self._later(step, 0.0, lambda: self._stop_active(step, grace_s))

    def hurry(self) -> None:
        """What is being ended has no more time for it."""
        for step in self.all():
            if step.ended is not None:
                self._stop_active(step, 0.0)

    def end_after(self, step: ActiveStep, seconds: float, timeout: str) -> None:
        """Stop the step as timed out when it is still active then."""

        def expire() -> None:
            step.timeout = step.timeout or timeout
            self.end(step, Ended.TIMED_OUT)

        self._later(step, max(0.0, seconds), expire)

    def _stop_active(self, step: ActiveStep, grace_s: float) -> None:
        """Tell the runtime; where that does not answer, again and again while the step is active."""
        try:
            self._stop(step.ref, grace_s)
        except EngineUnavailable as error:
            log.warning("step.not_stopped", step=str(step.ref), reason=str(error))
            self._later(step, _STOP_AGAIN_S, lambda: self._stop_active(step, grace_s))

    def _later(self, step: ActiveStep, seconds: float, action: Callable[[], None]) -> None:
        """Do it then, unless the step has ended before."""
        timer = threading.Timer(seconds, action)
        timer.daemon = True
        with self._lock:
            if step.ref not in self._steps:
                return
            step.timers.append(timer)
        timer.start()
