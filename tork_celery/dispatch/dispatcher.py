"""What follows, published as a Celery canvas.

A message carries ids only; the datastore holds everything else. So any message may be lost, late or
doubled: whoever takes it asks the datastore whether there is anything to do.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from celery import Celery, Signature, chain
from kombu.exceptions import ChannelError, OperationalError

from tork_celery.dispatch.queue_declarations import MAX_PRIORITY, declare
from tork_celery.domain import queue_names
from tork_celery.domain.errors import BrokerUnavailable
from tork_celery.domain.model import Task
from tork_celery.domain.queue_names import CONTROL_QUEUE
from tork_celery.domain.states import TaskState

PRE, MAIN, POST = "tork.pre", "tork.main", "tork.post"
ADVANCE, START_CHILDREN = "tork.advance", "tork.start_children"
CANCEL_SUBJOB = "tork.cancel_subjob"
KILL_STEP = "tork_kill_step"  # a remote control command of workers

_SHOWN_NAME = 60  # characters of a name that Flower shows


class Dispatcher:
    """Publishes through a Celery app. Safe to share between threads."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._first_is_zero = app.connection_for_write().transport.driver_type == "redis"

    def send(self, task: Task, *, delay_s: float = 0.0) -> None:
        """Publish the canvas of a task, from the step that is next, to be taken after `delay_s`.

        Raises BrokerUnavailable.
        """
        with _translated():
            self.canvas(task).apply_async(retry=False, countdown=delay_s or None)

    def start_children(self, task_id: str) -> None:
        """More children of a composite are to get their turn. Raises BrokerUnavailable."""
        self._control(START_CHILDREN, task_id)

    def cancel_subjob(self, job_id: str) -> None:
        """A job whose parent has stopped is to end. Raises BrokerUnavailable."""
        self._control(CANCEL_SUBJOB, job_id)

    def kill_step(self, task: Task) -> None:
        """Tell the node that has a task that it was cancelled. Raises BrokerUnavailable."""
        arguments = {"task_id": task.id, "delivery": task.delivery}
        with _translated():
            self._app.control.broadcast(KILL_STEP, arguments=arguments, destination=[task.node])

    def canvas(self, task: Task) -> chain:
        """The chain of the steps that are left, then `advance`. The worker that claims the first takes the
        rest for its own queue; a task that was begun goes to the queue of the node that has it."""
        begun = task.state is TaskState.RUNNING and task.node
        queue = queue_names.of_node(task.node) if begun and task.node else task.queue
        priority = MAX_PRIORITY if begun else task.priority
        steps = [
            self._step(task, step).set(queue=queue, priority=self._priority(priority))
            for step in range(task.step, len(task.definition.steps))
        ]
        return chain(*steps, self._advance(task), app=self._app)

    def depth(self, queue: str) -> int:
        """How many messages wait in a queue. Raises BrokerUnavailable."""
        with _translated(), self._app.connection_for_read() as connection:
            try:
                bound = declare(queue)(connection.default_channel)
                return int(bound.queue_declare(passive=True).message_count)
            except ChannelError:  # there is no such queue yet
                return 0

    def purge(self, queue: str) -> None:
        """Remove the messages that wait in a queue. Raises BrokerUnavailable."""
        with _translated(), self._app.connection_for_write() as connection:
            try:
                declare(queue)(connection.default_channel).purge()
            except ChannelError:  # there is no such queue yet
                return

    def ping(self) -> None:
        """Raises BrokerUnavailable."""
        self.depth(CONTROL_QUEUE)

    def _control(self, name: str, about: str) -> None:
        with _translated():
            signature = self._app.signature(name, args=(about,), immutable=True)
            signature.apply_async(queue=CONTROL_QUEUE, retry=False)

    def _step(self, task: Task, step: int) -> Signature:
        name = PRE if step < task.definition.main else MAIN if step == task.definition.main else POST
        signature = self._app.signature(name, args=(task.id, task.delivery, step), immutable=True)
        label = task.definition.steps[step].name or task.definition.name or task.id
        return signature.set(argsrepr=_shown(task, label), link_error=self._advance(task))

    def _advance(self, task: Task) -> Signature:
        signature = self._app.signature(ADVANCE, args=(task.id, task.delivery), immutable=True)
        return signature.set(queue=CONTROL_QUEUE, argsrepr=_shown(task, task.definition.name or task.id))

    def _priority(self, priority: int) -> int:
        """A priority 0..9, 9 first, as the broker counts: on Redis 0 is first."""
        return MAX_PRIORITY - priority if self._first_is_zero else priority


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, OSError) as error:
        raise BrokerUnavailable(f"the broker does not answer: {error}") from error


def _shown(task: Task, label: str) -> str:
    return f"({task.job_name[:_SHOWN_NAME]!r}, {label[:_SHOWN_NAME]!r}, {task.id!r})"
