"""Declarations of all queues, for publishers and consumers alike.

A broker refuses a queue that is declared twice with different arguments, so every declaration comes from
`declare`. `TaskAMQP` makes Celery use it, too.
"""

from celery import Celery
from celery.app.amqp import AMQP, Queues
from kombu import Exchange, Queue

from tork_celery.domain.errors import BrokerUnavailable
from tork_celery.domain.queue_names import NODE_PREFIX
from tork_celery.outages import OutageLog

MAX_PRIORITY = 9

# RabbitMQ closes the channel of a consumer that keeps a message unacknowledged for longer.
_CONSUMER_TIMEOUT_MS = 7 * 24 * 3600 * 1000
_NODE_QUEUE_EXPIRES_S = 24 * 3600  # the leases of a node that is away expired long before


def declare(name: str) -> Queue:
    """Return the declaration of a queue. Nothing is sent to the broker."""
    return Queue(
        name,
        Exchange(name, "direct", durable=True),
        routing_key=name,
        durable=True,
        max_priority=MAX_PRIORITY,
        expires=_NODE_QUEUE_EXPIRES_S if name.startswith(NODE_PREFIX) else None,
        queue_arguments={"x-consumer-timeout": _CONSUMER_TIMEOUT_MS},
    )


class TaskQueues(Queues):
    """Celery's table of queues. Missing queues are declared by `declare`."""

    def new_missing(self, name: str) -> Queue:
        return declare(name)


class TaskAMQP(AMQP):
    """Celery's messaging, with `TaskQueues` as its table of queues. `outages` are those of the broker."""

    queues_cls = TaskQueues

    def __init__(self, app: Celery) -> None:
        super().__init__(app)
        self.outages = OutageLog("broker", BrokerUnavailable)
