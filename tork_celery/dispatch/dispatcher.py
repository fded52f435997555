"""Publish tasks as Celery canvases, and control messages.

A message carries ids only; the datastore holds everything else. A message may be lost, late or duplicated:
its consumer asks the datastore whether there is anything to do.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus

from amqp.exceptions import AccessRefused, AMQPError, NotAllowed
from celery import Celery, Signature
from kombu.exceptions import BatchPublishError, ChannelError, OperationalError
from redis.exceptions import AuthenticationError, AuthorizationError

from tork_celery.dispatch import broker_queues
from tork_celery.dispatch.queue_declarations import MAX_PRIORITY, declare
from tork_celery.domain import queue_names
from tork_celery.domain.errors import BrokerUnavailable, ConfigurationError
from tork_celery.domain.model import Task
from tork_celery.domain.queue_names import CONTROL_QUEUE
from tork_celery.domain.states import TaskState

PRE, MAIN, POST = "tork.pre", "tork.main", "tork.post"
ADVANCE, START_CHILDREN = "tork.advance", "tork.start_children"
CANCEL_SUBJOB, END_TASKS = "tork.cancel_subjob", "tork.end_tasks"
KILL_STEP = "tork_kill_step"  # a remote control command of workers

_REFUSALS = (AccessRefused, NotAllowed, AuthenticationError, AuthorizationError)
_MAX_NAME_LENGTH = 60  # of job and task names, as Flower shows them


class Dispatcher:
    """Publishes through a Celery app. Thread-safe. All methods but `canvas` raise BrokerUnavailable."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._zero_is_highest = app.connection_for_write().transport.driver_type == "redis"

    def send_all(self, tasks: Sequence[Task]) -> None:
        """Publish the canvases of tasks, in this order; on Redis in one round trip for many messages."""
        with self._calls():
            try:
                self._send_batch(tasks)
            except BatchPublishError:  # perhaps on a connection that the broker has closed since its last use
                self._send_batch(tasks)  # some messages may arrive twice

    def _send_batch(self, tasks: Sequence[Task]) -> None:
        with self._app.producer_or_acquire() as producer, producer.batch():
            for task in tasks:
                first, *rest = self.canvas(task)
                first.apply_async(chain=rest[::-1], producer=producer, retry=False)

    def start_children(self, parent_id: str) -> None:
        """Tell a coordinator to start more children of a composite, or tasks of a job."""
        self._publish_control(START_CHILDREN, parent_id)

    def cancel_subjob(self, job_id: str) -> None:
        """Tell a coordinator to cancel a subjob whose parent task was cancelled or stopped."""
        self._publish_control(CANCEL_SUBJOB, job_id)

    def end_tasks(self, job_id: str) -> None:
        """Tell a coordinator to end more tasks of a job that has ended early."""
        self._publish_control(END_TASKS, job_id)

    def kill_step(self, task: Task) -> None:
        """Tell the node of a cancelled or stopped task to kill its running step."""
        arguments = {"task_id": task.id, "delivery": task.delivery}
        with self._calls():
            self._app.control.broadcast(KILL_STEP, arguments=arguments, destination=[task.node])

    def canvas(self, task: Task) -> list[Signature]:
        """Return the chain of the remaining steps of a task, followed by `advance`.

        A running task goes to the queue of its node, ahead of other tasks; any other task goes to its own
        queue, and the worker that claims the first step moves the rest to the queue of its node.
        """
        node = task.node if task.state is TaskState.RUNNING else None
        queue = queue_names.of_node(node) if node else task.queue
        priority = self._broker_priority(MAX_PRIORITY if node else task.priority)
        steps = [
            self._step_signature(task, step).set(queue=queue, priority=priority)
            for step in range(task.step, len(task.definition.steps))
        ]
        return [*steps, self._advance_signature(task)]

    def depth(self, queue: str) -> int:
        """Return the number of messages in a queue; 0 when the broker has no such queue yet."""
        with self._calls():
            return self._depth(queue)

    def count_messages(self, queues: Iterable[str]) -> dict[str, int]:
        """Return the number of messages in each of the queues, over one connection."""
        with self._calls(), self._app.connection_for_read() as connection:
            return broker_queues.count_messages(connection, queues)

    def delete_unused(self, queues: Iterable[str]) -> None:
        """Delete queues without consumers, with their messages, over one connection."""
        with self._calls(), self._app.connection_for_write() as connection:
            broker_queues.delete_unused(connection, queues)

    def purge(self, queue: str) -> None:
        """Remove the messages of a queue."""
        with self._calls(), self._app.connection_for_write() as connection:
            try:
                declare(queue)(connection.default_channel).purge()
            except ChannelError as error:
                _check_missing_queue(error)

    def ping(self) -> None:
        """Check that the broker answers."""
        self.depth(CONTROL_QUEUE)

    def ping_if_away(self) -> None:
        """Ask a broker that was away again, so that the end of its outage is logged."""
        if self._app.amqp.outages.active:
            with suppress(BrokerUnavailable):
                self.ping()

    def check_access(self) -> None:
        """Raise ConfigurationError if the broker answers but refuses the user of the URL.

        A broker that does not answer is no error, and its outage is not logged.
        """
        try:
            with _broker_errors():
                self._depth(CONTROL_QUEUE)
        except BrokerUnavailable as error:
            if any(isinstance(each, _REFUSALS) for each in _causes(error)):
                raise ConfigurationError(f"TORK_BROKER_URL: the broker refuses access: {error}") from error

    def _depth(self, queue: str) -> int:
        with self._app.connection_for_read() as connection:
            try:
                bound = declare(queue)(connection.default_channel)
                return int(bound.queue_declare(passive=True).message_count)
            except ChannelError as error:
                _check_missing_queue(error)
                return 0

    @contextmanager
    def _calls(self) -> Iterator[None]:
        """Run calls of the broker. Raises BrokerUnavailable."""
        with self._app.amqp.outages.watch(), _broker_errors():
            yield

    def _publish_control(self, celery_task: str, id_: str) -> None:
        with self._calls():
            signature = self._app.signature(celery_task, args=(id_,), immutable=True)
            signature.apply_async(queue=CONTROL_QUEUE, retry=False)

    def _step_signature(self, task: Task, step: int) -> Signature:
        name = PRE if step < task.definition.main else MAIN if step == task.definition.main else POST
        signature = self._app.signature(name, args=(task.id, task.delivery, step), immutable=True)
        label = task.definition.steps[step].name or task.definition.name or task.id
        return signature.set(argsrepr=_argsrepr(task, label), link_error=self._advance_signature(task))

    def _advance_signature(self, task: Task) -> Signature:
        signature = self._app.signature(ADVANCE, args=(task.id, task.delivery), immutable=True)
        return signature.set(queue=CONTROL_QUEUE, argsrepr=_argsrepr(task, task.definition.name or task.id))

    def _broker_priority(self, priority: int) -> int:
        """Translate a priority of 0 to 9, 9 the highest, to the broker's order: on Redis 0 is the highest."""
        return MAX_PRIORITY - priority if self._zero_is_highest else priority


@contextmanager
def _broker_errors() -> Iterator[None]:
    try:
        yield
    except (OperationalError, BatchPublishError, AMQPError, OSError) as error:
        raise BrokerUnavailable(f"the broker does not answer: {error}") from error


def _check_missing_queue(error: ChannelError) -> None:
    """Raise the error unless it is about a queue that is not declared yet."""
    if int(error.reply_code or 0) != HTTPStatus.NOT_FOUND:  # AMQP has the codes of HTTP
        raise error


def _causes(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__


def _argsrepr(task: Task, label: str) -> str:
    """Return what Flower shows as the arguments of a message."""
    return f"({task.job_name[:_MAX_NAME_LENGTH]!r}, {label[:_MAX_NAME_LENGTH]!r}, {task.id!r})"
