"""Queues, declared alike by whoever publishes to them and whoever consumes.

A broker refuses a queue that is declared twice with different arguments, so every declaration is made
here: `TaskQueues` makes Celery use it for each queue that is named nowhere else.
"""

from celery.app.amqp import AMQP, Queues
from kombu import Exchange, Queue

from tork_celery.domain.queue_names import NODE_PREFIX

MAX_PRIORITY = 9

# RabbitMQ closes the channel of a message that a step holds longer.
_CONSUMER_TIMEOUT_MS = 7 * 24 * 3600 * 1000
_NODE_QUEUE_EXPIRES_S = 24 * 3600  # a node that was away for so long finds its tasks given to others


def declare(name: str) -> Queue:
    """The one declaration of the queue of that name."""
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
    """Celery's table of queues, with those that are not in it declared as above."""

    def new_missing(self, name: str) -> Queue:
        return declare(name)


class TaskAMQP(AMQP):
    """Celery's messaging, with our table of queues."""

    queues_cls = TaskQueues
