"""Publish the messages that follow from a committed plan."""

from collections.abc import Callable, Iterable

from tork_celery.dispatch.dispatcher import Dispatcher
from tork_celery.domain.errors import BrokerUnavailable
from tork_celery.domain.model import Task

MAX_COUNTDOWN_S = 60.0
"""Retries with longer delays are left to the sweep: a worker keeps messages with a countdown in memory."""


class Publisher:
    """Publishes the messages of one plan, and gives up after the first one that fails: each try can take
    seconds.

    An unavailable broker is not an error. The sweep sends tasks without messages and cancels orphaned
    subjobs, and heartbeats kill the steps of ended tasks.
    """

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._broker_is_away = False

    def send(self, tasks: Iterable[Task], *, now: float) -> None:
        """Publish the canvas of each task, except retries that are due in more than `MAX_COUNTDOWN_S`."""
        for task in tasks:
            delay_s = max(0.0, (task.due_at or now) - now)
            if delay_s <= MAX_COUNTDOWN_S:
                self._publish(self._dispatcher.send, task, delay_s=delay_s)

    def kill_steps(self, tasks: Iterable[Task]) -> None:
        """Tell the nodes of the tasks to kill their running steps."""
        for task in tasks:
            if task.node:
                self._publish(self._dispatcher.kill_step, task)

    def cancel_subjobs(self, tasks: Iterable[Task]) -> None:
        """Tell a coordinator to cancel the subjobs of the tasks, with a message for each: there can be
        thousands."""
        for task in tasks:
            if task.subjob_id:
                self._publish(self._dispatcher.cancel_subjob, task.subjob_id)

    def end_tasks(self, job_ids: Iterable[str]) -> None:
        """Tell a coordinator to end more tasks of the jobs, which have ended early."""
        for job_id in job_ids:
            self._publish(self._dispatcher.end_tasks, job_id)

    def start_children(self, parent_ids: Iterable[str]) -> None:
        """Tell a coordinator to start more children of the composites, each in a transaction of its own."""
        for parent_id in parent_ids:
            self._publish(self._dispatcher.start_children, parent_id)

    def _publish(self, publish: Callable[..., None], *args: object, **options: object) -> None:
        if self._broker_is_away:
            return
        try:
            publish(*args, **options)
        except BrokerUnavailable:
            self._broker_is_away = True
