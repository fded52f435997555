"""A coordinator's errands go on whatever happens."""

from collections.abc import Callable

import pytest

from tests.eventually import eventually
from tests.store.stores import CuttableDatabase
from tork_celery.domain.webhooks import Call
from tork_celery.services import schedules
from tork_celery.services.context import Coordinator
from tork_celery.services.periodic import Errands
from tork_celery.services.webhook_delivery import Answer, Courier
from tork_celery.store import webhook_queue


@pytest.fixture
def heard() -> list[str]:
    return []


@pytest.fixture
def errands(coordinator: Coordinator, heard: list[str]) -> Callable[[], Errands]:
    def make(call: Call) -> tuple[Answer, str]:
        heard.append(call.body)
        return Answer.DELIVERED, ""

    return lambda: Errands(
        coordinator, courier=Courier(coordinator.database, make=make, threads=1), interval_s=0.01
    )


def add(database: CuttableDatabase, body: str) -> None:
    with database.transaction() as tx:
        call = Call(stream=body, job_id="j", event="e", url="http://h/", headers={}, body=body)
        webhook_queue.add(tx, [call])


def test_they_run_until_they_are_stopped(
    errands: Callable[[], Errands], database: CuttableDatabase, heard: list[str]
) -> None:
    running = errands()
    running.start()
    add(database, "a")
    eventually(lambda: heard == ["a"])
    running.stop()


def test_an_outage_or_a_bug_does_not_end_them(
    errands: Callable[[], Errands],
    database: CuttableDatabase,
    heard: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bugs = iter([ZeroDivisionError(), ZeroDivisionError()])
    fire_due = schedules.fire_due

    def broken(coordinator: Coordinator) -> None:
        if (bug := next(bugs, None)) is not None:
            raise bug
        fire_due(coordinator)

    monkeypatch.setattr(schedules, "fire_due", broken)
    add(database, "a")
    database.outages = 3
    running = errands()
    running.start()
    eventually(lambda: heard == ["a"])
    running.stop()
