"""The queues of a broker: how many messages they hold, and the deletion of those that nobody uses.

Each function uses one connection for all queues. They raise kombu's OperationalError.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from kombu import Connection
from kombu.exceptions import ChannelError, OperationalError

from tork_celery.dispatch.queue_declarations import declare

_NOT_FOUND, _PRECONDITION_FAILED = 404, 406  # codes of AMQP


def count_messages(connection: Connection, queues: Iterable[str]) -> dict[str, int]:
    """Return the number of messages in each of the queues.

    A queue that does not exist is declared: a publisher that has declared it before does not do so again, and
    its messages would be lost.
    """
    with _operational_errors(connection):
        return {queue: _depth(connection, queue) for queue in queues}


def delete_unused(connection: Connection, queues: Iterable[str]) -> None:
    """Delete queues without consumers, with their messages."""
    with _operational_errors(connection):
        for queue in queues:
            _delete_unused(connection, queue)


def _delete_unused(connection: Connection, queue: str) -> None:
    with connection.channel() as channel:
        bound = declare(queue)(channel)
        bound.declare()  # Redis deletes only what the connection has declared
        try:
            bound.delete(if_unused=True)
        except ChannelError as error:
            _check_code(error, _PRECONDITION_FAILED)  # it has a consumer


def _depth(connection: Connection, queue: str) -> int:
    with connection.channel() as channel:
        try:
            return int(declare(queue)(channel).queue_declare(passive=True).message_count)
        except ChannelError as error:
            _check_code(error, _NOT_FOUND)
    with connection.channel() as channel:  # an error closes the channel before
        declare(queue)(channel).declare()
    return 0


def _check_code(error: ChannelError, expected: int) -> None:
    """Raise an error that has another code."""
    if int(error.reply_code or 0) != expected:
        raise error


@contextmanager
def _operational_errors(connection: Connection) -> Iterator[None]:
    """Translate the errors of the broker's client library."""
    try:
        yield
    except connection.connection_errors as error:
        raise OperationalError(str(error)) from error
