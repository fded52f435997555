"""Publish the messages that follow from a committed transaction, in the calling thread or in another one.

An unavailable broker is not an error. The sweep sends tasks without messages and cancels orphaned subjobs,
and heartbeats kill the steps of ended tasks.
"""

import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial

from tork_celery.dispatch.dispatcher import Dispatcher
from tork_celery.domain.errors import BrokerUnavailable
from tork_celery.domain.model import Task
from tork_celery.periodic_thread import survive_bugs

_WAITING_CALLS = 1_000
_STOP_WITHIN_S = 3.0


class Publisher:
    """Publishes the messages of one plan, and gives up after the first call that fails: each can take
    seconds."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._broker_is_away = False

    def send(self, tasks: Sequence[Task]) -> None:
        """Publish the canvases of tasks that are marked as sent."""
        if tasks:
            self._publish(partial(self._dispatcher.send_all, tasks))

    def kill_steps(self, tasks: Iterable[Task]) -> None:
        """Tell the nodes of the tasks to kill their running steps."""
        for task in tasks:
            if task.node:
                self._publish(partial(self._dispatcher.kill_step, task))

    def cancel_subjobs(self, tasks: Iterable[Task]) -> None:
        """Tell a coordinator to cancel the subjobs of the tasks, with a message for each: there can be
        thousands."""
        for task in tasks:
            if task.subjob_id:
                self._publish(partial(self._dispatcher.cancel_subjob, task.subjob_id))

    def end_tasks(self, job_ids: Iterable[str]) -> None:
        """Tell a coordinator to end more tasks of the jobs, which have ended early."""
        for job_id in job_ids:
            self._publish(partial(self._dispatcher.end_tasks, job_id))

    def start_children(self, parent_ids: Iterable[str]) -> None:
        """Tell a coordinator to start more children of composites, or tasks of jobs, each in a transaction of
        its own."""
        for parent_id in parent_ids:
            self._publish(partial(self._dispatcher.start_children, parent_id))

    def _publish(self, call: Callable[[], None]) -> None:
        if self._broker_is_away:
            return
        try:
            call()
        except BrokerUnavailable:
            self._broker_is_away = True


class BackgroundPublisher(Publisher):
    """Publishes in a thread of its own: no caller waits for the broker. Thread-safe.

    At most `limit` calls wait. A call beyond them is dropped, and so are all that wait when one fails: on a
    broker that does not answer, each would take seconds, and the sweep sends what is missing afterwards.
    """

    def __init__(self, dispatcher: Dispatcher, *, limit: int = _WAITING_CALLS) -> None:
        super().__init__(dispatcher)
        self._waiting = queue.Queue[Callable[[], None] | None](limit)
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Publish what waits, for a few seconds at most, and end the thread."""
        with suppress(queue.Full):
            self._waiting.put(None, timeout=_STOP_WITHIN_S)
        self._thread.join(_STOP_WITHIN_S)

    def _publish(self, call: Callable[[], None]) -> None:
        with suppress(queue.Full):
            self._waiting.put_nowait(call)

    def _run(self) -> None:
        while (call := self._waiting.get()) is not None:
            try:
                with survive_bugs("publisher.failed"):
                    call()
            except BrokerUnavailable:
                if self._drop_waiting():
                    return

    def _drop_waiting(self) -> bool:
        """Drop the calls that wait. Return whether the thread is to end."""
        with suppress(queue.Empty):
            while self._waiting.get_nowait() is not None:
                pass
            return True
        return False
