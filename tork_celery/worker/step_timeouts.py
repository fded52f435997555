"""The timeouts of a running step: its own, and that of its task."""

import structlog

from tork_celery.domain import durations
from tork_celery.domain.definition import Defaults
from tork_celery.domain.errors import DatastoreUnavailable
from tork_celery.domain.model import Task
from tork_celery.store import claims
from tork_celery.worker.active_steps import ActiveStep
from tork_celery.worker.context import WorkerContext

log = structlog.get_logger(__name__)


class StepTimeouts:
    """Starts the timers of one step. A task's timeout counts from its first container, a step's from its own.

    For one thread.
    """

    def __init__(self, context: WorkerContext, defaults: Defaults, task: Task, step: ActiveStep) -> None:
        self._context = context
        self._task = task
        self._step = step
        self._timeout = task.definition.timeout or defaults.timeout
        self._started = False
        self._counts_for_task = False

    def step_claimed(self) -> None:
        """Start the timer of a task whose first container started earlier, whatever this step waits for."""
        if self._task.deadline_at is not None:
            self._start_of_task()

    def step_started(self) -> None:
        """Start the timers that do not run yet."""
        definition = self._task.definition.steps[self._step.ref.step]
        if not self._started and self._step.ref.step != self._task.definition.main and definition.timeout:
            self._context.steps.kill_after(
                self._step, durations.seconds(definition.timeout), definition.timeout
            )
        self._started = True
        self._start_of_task()

    def _start_of_task(self) -> None:
        if self._timeout and not self._counts_for_task:
            left_s = self._left_s(durations.seconds(self._timeout))
            if left_s is not None:
                self._context.steps.kill_after(self._step, left_s, self._timeout)
                self._counts_for_task = True

    def _left_s(self, timeout_s: float) -> float | None:
        """Return the seconds until the task's deadline, or None if the node does not hold the step.

        If the datastore is away, that is the whole timeout: the step has started and must not run forever.
        """
        try:
            with self._context.database.transaction() as tx:
                return claims.set_deadline(tx, self._step.ref, node=self._context.node, timeout_s=timeout_s)
        except DatastoreUnavailable as error:
            log.warning("step.deadline_not_stored", step=str(self._step.ref), reason=str(error))
            return timeout_s
