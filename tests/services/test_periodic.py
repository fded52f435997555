"""A coordinator's errands go on whatever happens."""

from collections.abc import Callable

import pytest

from tests.eventually import eventually
from tests.store.stores import CuttableDatabase
from tork_celery.domain.webhooks import WebhookCall
from tork_celery.services import schedules
from tork_celery.services.context import ServiceContext
from tork_celery.services.periodic import PeriodicWork
from tork_celery.services.webhook_delivery import DeliveryResult, WebhookSender
from tork_celery.store import webhook_queue


@pytest.fixture
def heard() -> list[str]:
    return []


@pytest.fixture
def periodic_work(context: ServiceContext, heard: list[str]) -> Callable[[], PeriodicWork]:
    def make(call: WebhookCall) -> tuple[DeliveryResult, str]:
        heard.append(call.body)
        return DeliveryResult.DELIVERED, ""

    return lambda: PeriodicWork(
        context, webhook_sender=WebhookSender(context.database, make=make, threads=1), interval_s=0.01
    )


def add(database: CuttableDatabase, body: str) -> None:
    with database.transaction() as tx:
        call = WebhookCall(stream=body, job_id="j", event="e", url="http://h/", headers={}, body=body)
        webhook_queue.add(tx, [call])


def test_they_run_until_they_are_stopped(
    periodic_work: Callable[[], PeriodicWork], database: CuttableDatabase, heard: list[str]
) -> None:
    running = periodic_work()
    running.start()
    add(database, "a")
    eventually(lambda: heard == ["a"])
    running.stop()


def test_an_outage_or_a_bug_does_not_end_them(
    periodic_work: Callable[[], PeriodicWork],
    database: CuttableDatabase,
    heard: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bugs = iter([ZeroDivisionError(), ZeroDivisionError()])
    fire_due = schedules.fire_due

    def broken(context: ServiceContext) -> None:
        if (bug := next(bugs, None)) is not None:
            raise bug
        fire_due(context)

    monkeypatch.setattr(schedules, "fire_due", broken)
    add(database, "a")
    database.outages = 3
    running = periodic_work()
    running.start()
    eventually(lambda: heard == ["a"])
    running.stop()
