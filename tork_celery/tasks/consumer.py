"""The consumer of a Celery worker: it waits for a broker that is away, and logs one line for each change.

Celery's own consumer logs every try to connect, waits up to 30 s between two of them, and ends the process
when kombu fails to close a connection to a lost Redis.
"""

import logging
import warnings
from contextlib import suppress
from typing import Any

from celery.exceptions import CPendingDeprecationWarning
from celery.worker import consumer
from celery.worker.consumer.consumer import CONNECTION_RETRY
from celery.worker.state import maybe_shutdown

_RETRY_INTERVAL_S = 2.0


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


def silence_outages() -> None:
    """Drop the warnings of Celery about a lost broker, which come once or more for each step and connection.

    The broker's outage is logged once. The messages that are lost meanwhile are published by the sweep.
    """
    logging.getLogger("celery.worker.consumer.consumer").addFilter(_is_no_reconnect)
    logging.getLogger("celery.worker.request").addFilter(_is_no_failed_ack)
    logging.getLogger("celery.app.amqp").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)
    warnings.filterwarnings(
        "ignore",
        message=r"Exception raised outside body: \w*(Operational|Connection)",
        category=RuntimeWarning,
    )


def _is_no_reconnect(record: logging.LogRecord) -> bool:
    return not (isinstance(record.args, tuple) and CONNECTION_RETRY in record.args)


def _is_no_failed_ack(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(("Couldn't ack", "Couldn't reject"))
