"""The steps that this process runs, and why it kills one of them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

import structlog

from tork_celery import log_masks
from tork_celery.domain.errors import EngineUnavailable
from tork_celery.domain.model import StepRef
from tork_celery.domain.states import TaskState
from tork_celery.worker.step_output import StepOutput
from tork_celery.worker.step_timeline import StepTimeline

log = structlog.get_logger(__name__)

_KILL_RETRY_S = 1.0


class StopReason(Enum):
    """Why this worker stopped a step."""

    TIMED_OUT = "the step or its task timed out"
    SUPERSEDED = "the task no longer belongs to this node"
    CANCELLED = "a user cancelled the task"
    STOPPED = "the job or a sibling of the task failed"
    OUT_OF_DISK = "the step used too much disk space"
    RELEASED = "the worker stops and releases the task"

    @classmethod
    def of_lost_task(cls, ended_early: TaskState | None) -> "StopReason":
        """Return why this node lost a task. `ended_early` is its state if it was ended early."""
        return _EARLY_ENDS.get(ended_early, cls.SUPERSEDED)


_EARLY_ENDS: dict[TaskState | None, StopReason] = {
    TaskState.CANCELLED: StopReason.CANCELLED,
    TaskState.STOPPED: StopReason.STOPPED,
}


@dataclass(slots=True, kw_only=True)
class ActiveStep:
    """A step that a thread of this process runs.

    `timeout` is the timeout that it exceeded, as written in the job file. `error` is another reason for which
    this worker failed it.
    """

    ref: StepRef
    job_id: str
    output: StepOutput
    stop_reason: StopReason | None = None
    timeout: str | None = None
    error: str | None = None
    timeline: StepTimeline = field(default_factory=StepTimeline)
    timers: list[threading.Timer] = field(default_factory=list)
    interrupted: threading.Event = field(default_factory=threading.Event)
    """Set when a wait of the step is to end: the step was killed, or the worker stops."""

    @property
    def kill_reason(self) -> str | None:
        """Why the step is killed, in words for the task's log; None if it is not."""
        if self.error is not None or self.stop_reason is None:
            return self.error
        if self.stop_reason is StopReason.TIMED_OUT:
            return f"timed out after {self.timeout}"
        return str(self.stop_reason.value)


class ActiveSteps:
    """The active steps of a worker. Thread-safe."""

    def __init__(self, kill: Callable[[StepRef, float], None], *, grace_s: float) -> None:
        """`kill` kills a step with a grace period in seconds between TERM and KILL.

        The steps of cancelled and stopped tasks have `grace_s`, all others none.
        """
        self._kill = kill
        self._grace_s = grace_s
        self._lock = threading.Condition()
        self._steps: dict[StepRef, ActiveStep] = {}

    @contextmanager
    def running(self, step: ActiveStep) -> Iterator[ActiveStep]:
        """Keep the step active within the context. Its timers are cancelled at the end."""
        with self._lock:
            self._steps[step.ref] = step
        try:
            with log_masks.masking(step.output.masker.mask):
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

    def of_delivery(self, task_id: str, delivery: int) -> list[ActiveStep]:
        return [step for step in self.all() if (step.ref.task_id, step.ref.delivery) == (task_id, delivery)]

    def wait_for_end(self, within_s: float) -> bool:
        """Return whether all steps have ended within `within_s`."""
        with self._lock:
            return self._lock.wait_for(lambda: not self._steps, within_s)

    def kill(self, step: ActiveStep, reason: StopReason) -> None:
        """Kill a step; the first reason counts.

        Another thread calls the runtime: a caller that renews leases must not wait for an engine that hangs.
        """
        with self._lock:
            if step.stop_reason is not None or step.ref not in self._steps:
                return
            step.stop_reason = reason
        step.interrupted.set()
        log.info("step.stopped", step=str(step.ref), reason=reason.value)
        step.output.note(f"the step is killed: {step.kill_reason}")
        grace_s = self._grace_s if reason in (StopReason.CANCELLED, StopReason.STOPPED) else 0.0
        self._run_later(step, 0.0, lambda: self._kill_active(step, grace_s))

    def fail(self, step: ActiveStep, reason: StopReason, error: str) -> None:
        """Kill a step, which fails with `error`."""
        step.error = step.error or error
        self.kill(step, reason)

    def interrupt_waits(self) -> None:
        """End the waits of all steps."""
        for step in self.all():
            step.interrupted.set()

    def kill_now(self) -> None:
        """Kill the steps whose grace period has not expired yet."""
        for step in self.all():
            if step.stop_reason is not None:
                self._kill_active(step, 0.0)

    def kill_after(self, step: ActiveStep, seconds: float, timeout: str) -> None:
        """Kill the step as timed out if it is still active after `seconds`."""

        def expire() -> None:
            step.timeout = step.timeout or timeout
            self.kill(step, StopReason.TIMED_OUT)

        self._run_later(step, max(0.0, seconds), expire)

    def _kill_active(self, step: ActiveStep, grace_s: float) -> None:
        """Kill the step; while the engine does not answer, try again while the step is active."""
        try:
            self._kill(step.ref, grace_s)
        except EngineUnavailable as error:
            log.warning("step.not_killed", step=str(step.ref), reason=str(error))
            self._run_later(step, _KILL_RETRY_S, lambda: self._kill_active(step, grace_s))

    def _run_later(self, step: ActiveStep, seconds: float, action: Callable[[], None]) -> None:
        """Run `action` in a thread after `seconds`, unless the step has ended by then."""
        timer = threading.Timer(seconds, action)
        timer.daemon = True
        with self._lock:
            if step.ref not in self._steps:
                return
            step.timers.append(timer)
        timer.start()
