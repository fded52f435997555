"""The waits of steps for the container engine: how long, and what the task's log says meanwhile."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from tork_celery.domain import durations
from tork_celery.domain.backoff import Backoff, Retries, RetryLimit
from tork_celery.domain.errors import DatastoreUnavailable, EngineFailed, EngineUnavailable, StepFailed
from tork_celery.domain.model import Task
from tork_celery.runtime.protocol import Detached, StepRemoved
from tork_celery.store import nodes
from tork_celery.worker.active_steps import ActiveStep
from tork_celery.worker.backoff import delays_s
from tork_celery.worker.context import WorkerContext

log = structlog.get_logger(__name__)

_REMOVALS = RetryLimit(tries=10, within_s=float("inf"), backoff=Backoff(first_s=0.1, longest_s=5.0))


class ReleaseNeeded(Exception):
    """The delivery cannot end here; its task is to be released. `engine_away` is the reason if it is set."""

    def __init__(self, *, engine_away: bool) -> None:
        super().__init__()
        self.engine_away = engine_away


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineWait:
    """The longest wait for an engine that does not answer, as written in the job file or the settings."""

    seconds: float
    text: str

    @classmethod
    def of(cls, timeout: str | None, default_s: float) -> "EngineWait":
        """Return the timeout of a task, or `default_s` without one."""
        if timeout:
            return cls(seconds=durations.seconds(timeout), text=timeout)
        return cls(seconds=default_s, text=f"{default_s:g} s")


class EngineWaits:
    """The waits of one step. All methods that wait raise Detached when the worker stops.

    They return early when the step is killed.
    """

    def __init__(
        self,
        step: ActiveStep,
        *,
        stopping: threading.Event,
        longest: EngineWait,
        has_other_worker: Callable[[], bool],
    ) -> None:
        self._step = step
        self._stopping = stopping
        self._longest = longest
        self._has_other_worker = has_other_worker
        self._retries = Retries()
        self._delays_s = delays_s()
        self._away_since_s: float | None = None
        self._noted = ""
        self.engine_was_away = False
        """Whether the engine was away since the container started, so that its exit code may be its doing."""

    def container_started(self) -> None:
        self.engine_answered()
        self.engine_was_away = False

    def engine_answered(self) -> None:
        if self._away_since_s is not None:
            self._away_since_s = None
            self._delays_s = delays_s()
            self._step.timeline.engine_answers()
            self._note("the container engine answers again")

    def after_failure(self, error: EngineFailed) -> None:
        """Wait before the next try of what failed. Raises StepFailed when no try is left."""
        self.engine_answered()
        self._try_again(error.call, error.limit, str(error))

    def after_removal(self, error: StepRemoved) -> None:
        """Wait before the step runs again. Raises StepFailed when that happened too often."""
        self.engine_answered()
        self._try_again("removed", _REMOVALS, str(error))

    def after_no_answer(self, error: EngineUnavailable) -> None:
        """Wait for an engine that does not answer.

        Raises ReleaseNeeded when the longest wait is over and another worker serves the task's queue.
        """
        self.engine_was_away = True
        now_s = time.monotonic()
        if self._away_since_s is None:
            self._away_since_s = now_s
            log.warning("step.engine_away", step=str(self._step.ref), reason=str(error))
        if now_s - self._away_since_s < self._longest.seconds:
            self._note_away(f"{error}; trying again, for {self._longest.text} at most")
        elif self._has_other_worker():
            self._note(f"{error}, for more than {self._longest.text}; another worker takes the task")
            raise ReleaseNeeded(engine_away=True)
        else:
            self._note_away(
                f"{error}, for more than {self._longest.text}; no other worker serves the queue of the "
                "task, so it waits on"
            )
        self._pause(next(self._delays_s))

    def _try_again(self, call: str, limit: RetryLimit, reason: str) -> None:
        delay_s = self._retries.delay_s(call, limit, now_s=time.monotonic())
        if delay_s is None:
            raise StepFailed(reason)
        log.warning("step.tried_again", step=str(self._step.ref), call=call)
        self._note(f"{reason}; trying again")
        self._pause(delay_s)

    def _note_away(self, text: str) -> None:
        self._step.timeline.engine_away(text)
        self._note(text)

    def _note(self, text: str) -> None:
        """Write a line to the task's log, unless it was the last one."""
        if text != self._noted:
            self._noted = text
            self._step.output.note(text)

    def _pause(self, delay_s: float) -> None:
        self._step.interrupted.wait(delay_s)
        if self._stopping.is_set():
            raise Detached


class MovedTasks:
    """The tasks that this node released to other workers because its engine did not answer. Thread-safe."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._tasks: set[str] = set()

    def add(self, task_id: str) -> None:
        with self._lock:
            self._tasks.add(task_id)

    def belongs_to_others(self, task: Task) -> bool:
        """Return whether to leave the task to another worker: there is one, and the engine is still away."""
        with self._lock:
            if task.id not in self._tasks:
                return False
        try:
            self._context.runtime.check(within_s=1.0)
        except EngineUnavailable:
            if has_other_worker(self._context, task.queue):
                return True
        else:
            with self._lock:
                self._tasks.clear()
        return False

    def __contains__(self, task_id: str) -> bool:
        with self._lock:
            return task_id in self._tasks


def has_other_worker(context: WorkerContext, queue: str) -> bool:
    """Return whether another live node serves the queue. False while the datastore does not answer."""
    try:
        with context.database.reading() as tx:
            active = nodes.active(tx, within_s=context.lease_s)
    except DatastoreUnavailable:
        return False
    return any(
        node.stopped_at is None and node.name != context.node and queue in node.queues for node in active
    )
