"""An outage is logged twice: when it begins and when it ends."""

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from tork_celery.domain.errors import BrokerUnavailable, DatastoreUnavailable
from tork_celery.outages import OutageLog, until_available

AWAY = "connection refused\n\tIs the server running?"


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outages(clock: Clock) -> OutageLog:
    return OutageLog("datastore", DatastoreUnavailable, settled_after_s=5.0, clock=clock)


def events(records: list[EventDict]) -> list[str]:
    return [record["event"] for record in records]


def test_outage_of_many_failures_has_two_lines(outages: OutageLog, clock: Clock) -> None:
    with capture_logs() as records:
        outages.succeeded()
        for _ in range(10):
            outages.failed(AWAY)
            clock.now_s += 2.0
        clock.now_s += 5.0
        outages.succeeded()
        outages.succeeded()

    assert records == [
        {
            "event": "outage.started",
            "part": "datastore",
            "reason": "connection refused Is the server running?",
            "log_level": "warning",
        },
        {"event": "outage.ended", "part": "datastore", "seconds": 25.0, "log_level": "warning"},
    ]


def test_calls_that_fail_now_and_then_are_one_outage(outages: OutageLog, clock: Clock) -> None:
    with capture_logs() as records:
        for _ in range(10):
            outages.failed(AWAY)
            clock.now_s += 4.0
            outages.succeeded()

    assert events(records) == ["outage.started"]


def test_outage_is_ended_at_once_by_who_knows(outages: OutageLog) -> None:
    with capture_logs() as records:
        outages.ended()
        outages.failed(AWAY)
        outages.ended()
        outages.failed(AWAY)

    assert events(records) == ["outage.started", "outage.ended", "outage.started"]


def test_watch_reports_its_own_error_only(outages: OutageLog, clock: Clock) -> None:
    with capture_logs() as records:
        with pytest.raises(BrokerUnavailable), outages.watch():
            raise BrokerUnavailable(AWAY)
        with pytest.raises(DatastoreUnavailable), outages.watch():
            raise DatastoreUnavailable(AWAY)
        clock.now_s += 5.0
        with pytest.raises(ValueError, match="a bug"), outages.watch():
            raise ValueError("a bug")
        assert events(records) == ["outage.started"]
        with outages.watch():
            pass

    assert events(records) == ["outage.started", "outage.ended"]


def test_action_is_repeated_until_its_parts_are_available(
    outages: OutageLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    results = [DatastoreUnavailable(AWAY), DatastoreUnavailable(AWAY), "done"]

    def action() -> object:
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    with capture_logs() as records:
        assert until_available(action, outages) == "done"

    assert events(records) == ["outage.started", "outage.ended"]
    assert pauses == [0.2, 0.4]
