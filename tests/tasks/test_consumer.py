"""The consumer waits for a broker that is away, and survives what kombu raises on a lost connection."""

import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker import consumer as celery_consumer
from structlog.testing import capture_logs

from tork_celery.domain.errors import BrokerUnavailable
from tork_celery.outages import OutageLog
from tork_celery.tasks.consumer import Consumer, silence_outages

AWAY = ConnectionRefusedError("connection refused")


@pytest.fixture
def consumer() -> Consumer:
    """A consumer that was not started, with the app that its methods use."""
    made = Consumer.__new__(Consumer)
    made.app = SimpleNamespace(amqp=SimpleNamespace(outages=OutageLog("broker", BrokerUnavailable)))
    made.hub = None
    return made


class Connection:
    """Fails to connect, as often as told."""

    def __init__(self, failures: int) -> None:
        self._failures = failures
        self.intervals: list[float] = []

    def ensure_connection(self, on_error: Callable[[Exception, float], None], **options: Any) -> "Connection":
        for _ in range(self._failures):
            on_error(AWAY, options["interval_start"])
        self.intervals = [options["interval_start"], options["interval_max"]]
        return self


def test_failed_connections_are_one_outage(consumer: Consumer) -> None:
    connection = Connection(failures=5)

    with capture_logs() as records:
        assert consumer.ensure_connected(connection) is connection

    assert [record["event"] for record in records] == ["outage.started", "outage.ended"]
    assert connection.intervals == [2.0, 2.0]


def test_error_while_a_lost_connection_is_closed_is_survived(
    consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise AttributeError("'NoneType' object has no attribute 'hostname'")

    monkeypatch.setattr(celery_consumer.Consumer, "on_connection_error_after_connected", fail)

    with capture_logs() as records:
        consumer.on_connection_error_after_connected(AWAY)

    assert [record["event"] for record in records] == ["outage.started"]


def test_acknowledgement_on_a_lost_connection_is_survived(consumer: Consumer) -> None:
    def acknowledge(tag: str) -> None:
        raise AttributeError(tag)

    consumer.call_soon_ack(acknowledge, "tag")


@pytest.mark.parametrize(
    ("logger", "message", "shown"),
    [
        ("celery.worker.request", "Couldn't ack 4, reason:closed", False),
        ("celery.worker.request", "another problem", True),
        ("py.warnings", "Exception raised outside body: OperationalError('away'):\nTraceback", False),
        ("py.warnings", "Exception raised outside body: ValueError('a bug'):\nTraceback", True),
    ],
)
def test_warnings_of_an_outage_are_dropped(
    caplog: pytest.LogCaptureFixture, logger: str, message: str, *, shown: bool
) -> None:
    silence_outages()

    with caplog.at_level(logging.WARNING):
        logging.getLogger(logger).warning(message)

    assert (message in caplog.text) is shown
