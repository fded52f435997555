"""The consumer of a Celery worker: it waits for a broker that is away, and logs one line for each change.

Celery's own consumer logs every try to connect, waits up to 30 s between two of them, and ends the process
when kombu fails on a connection to a lost Redis.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from celery.worker import consumer
from celery.worker.consumer.consumer import CONNECTION_RETRY
from celery.worker.state import maybe_shutdown

_RETRY_INTERVAL_S = 2.0
_LOGGERS = ("celery.worker.consumer.consumer", "celery.worker.request", "py.warnings")
_OF_AN_OUTAGE = (
    CONNECTION_RETRY,
    "Couldn't ack ",
    "Couldn't reject ",
    "CPendingDeprecationWarning",  # on running tasks, at each lost connection
    "Exception raised outside body: OperationalError",
    "Exception raised outside body: Connection",
)


class Consumer(consumer.Consumer):
    """Celery's consumer with another way to wait for the broker, set by `worker_consumer`."""

    def ensure_connected(self, connection: Any) -> Any:
        """Connect, and wait for the broker without a limit."""
        outages = self.app.amqp.outages
        connected = connection.ensure_connection(
            lambda error, _interval_s: outages.failed(str(error)),
            interval_start=_RETRY_INTERVAL_S,
            interval_step=0.0,
            interval_max=_RETRY_INTERVAL_S,
            callback=maybe_shutdown,
        )
        outages.ended()
        self.first_connection_attempt = False
        return connected

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        self.app.amqp.outages.failed(str(exc))

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Close the lost connection. Whatever a driver raises then, the consumer connects again."""
        self.app.amqp.outages.failed(str(exc))
        with suppress(Exception):
            super().on_connection_error_after_connected(exc)

    def call_soon_ack(self, p: Callable[..., object], *args: Any, **options: Any) -> Any:
        """Acknowledge or reject a message. The broker delivers it again if its connection was lost."""

        def acknowledge(*args: Any, **options: Any) -> None:
            with suppress(
                AttributeError
            ):  # of kombu: the channel of a closed connection to Redis has no client
                p(*args, **options)

        return super().call_soon_ack(acknowledge, *args, **options)


def silence_outages() -> None:
    """Drop the warnings of Celery about a lost broker, which come once or more for each step and connection.

    The outage is logged once. The messages that are lost meanwhile are published by the sweep.
    """
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_is_no_outage)
    logging.getLogger("celery.app.amqp").setLevel(logging.ERROR)


def _is_no_outage(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    return not any(text in message for text in _OF_AN_OUTAGE)
