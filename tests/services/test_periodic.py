"""The periodic work of a coordinator survives outages and bugs; its threads do not delay each other."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from tests.eventually import eventually
from tests.services.fakes import FakeDispatcher
from tests.services.sweeping import LONG_AGO
from tests.store.stores import FlakyDatabase, store_task
from tork_celery.domain.states import TaskState
from tork_celery.domain.webhooks import WebhookCall
from tork_celery.services import schedule_firing
from tork_celery.services.context import ServiceContext
from tork_celery.services.periodic import PeriodicWork
from tork_celery.services.recovery_sweep import RecoverySweep
from tork_celery.services.webhook_client import DeliveryResult
from tork_celery.services.webhook_delivery import WebhookSender
from tork_celery.store import Database, webhook_queue

WAIT_S = 20.0

Run = Callable[[RecoverySweep], AbstractContextManager[PeriodicWork]]


class BlockingSweep(RecoverySweep):
    """A sweep that waits for `release`, and counts how many of it run at a time."""

    def __init__(self, context: ServiceContext) -> None:
        super().__init__(context)
        self.started = threading.Event()
        self.release = threading.Event()
        self.runs = 0
        self.running = 0
        self.most_at_a_time = 0

    def sweep(self) -> None:
        self.running += 1
        self.most_at_a_time = max(self.most_at_a_time, self.running)
        self.started.set()
        assert self.release.wait(WAIT_S)
        super().sweep()
        self.running -= 1
        self.runs += 1


@pytest.fixture
def received() -> list[str]:
    """Bodies of the webhook calls that were made."""
    return []


@pytest.fixture
def run(context: ServiceContext, received: list[str]) -> Run:
    """Run the periodic work with a given sweep while the context lasts."""

    @contextmanager
    def run(recovery_sweep: RecoverySweep) -> Iterator[PeriodicWork]:
        def make(call: WebhookCall) -> tuple[DeliveryResult, str]:
            received.append(call.body)
            return DeliveryResult.DELIVERED, ""

        work = PeriodicWork(
            context,
            recovery_sweep,
            webhook_sender=WebhookSender(context.database, post=make, threads=1),
            due_interval_s=0.01,
            sweep_interval_s=0.01,
        )
        work.start()
        try:
            yield work
        finally:
            work.stop()

    return run


def add_webhook_call(database: Database, body: str) -> None:
    with database.transaction() as tx:
        call = WebhookCall(stream=body, job_id="j", event="e", url="http://h/", headers={}, body=body)
        webhook_queue.add(tx, [call])


def test_webhooks_are_called_and_missing_messages_are_published(
    run: Run,
    context: ServiceContext,
    database: FlakyDatabase,
    dispatcher: FakeDispatcher,
    received: list[str],
) -> None:
    task = store_task(database, sent_at=LONG_AGO)
    add_webhook_call(database, "a")

    with run(RecoverySweep(context)):
        eventually(lambda: received == ["a"])
        eventually(lambda: dispatcher.sent_ids == [task.id])


def test_due_retries_are_scheduled(
    run: Run, context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    retry = store_task(database, state=TaskState.PENDING, due_at=LONG_AGO)

    with run(RecoverySweep(context)):
        eventually(lambda: dispatcher.sent_ids == [retry.id])


def test_outages_and_bugs_do_not_end_the_webhooks(
    run: Run,
    context: ServiceContext,
    database: FlakyDatabase,
    received: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deliver_due = WebhookSender.deliver_due
    bugs = iter([ZeroDivisionError(), ZeroDivisionError()])

    def deliver_due_with_bugs(sender: WebhookSender) -> None:
        if (bug := next(bugs, None)) is not None:
            raise bug
        deliver_due(sender)

    monkeypatch.setattr(WebhookSender, "deliver_due", deliver_due_with_bugs)
    add_webhook_call(database, "a")
    database.failures_left = 6

    with run(RecoverySweep(context)):
        eventually(lambda: received == ["a"])


def test_outages_and_bugs_do_not_end_the_schedules(
    run: Run, context: ServiceContext, database: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    fire_due = schedule_firing.fire_due
    bugs = iter([ZeroDivisionError(), ZeroDivisionError()])
    fired = threading.Event()

    def fire_due_with_bugs(context: ServiceContext, **options: Any) -> None:
        if (bug := next(bugs, None)) is not None:
            raise bug
        fire_due(context, **options)
        fired.set()

    monkeypatch.setattr(schedule_firing, "fire_due", fire_due_with_bugs)
    database.failures_left = 6

    with run(RecoverySweep(context)):
        assert fired.wait(WAIT_S)


def test_outages_and_bugs_do_not_end_the_sweep(
    run: Run, context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    bugs = iter([ZeroDivisionError(), ZeroDivisionError()])

    class SweepWithBugs(RecoverySweep):
        def sweep(self) -> None:
            if (bug := next(bugs, None)) is not None:
                raise bug
            super().sweep()

    task = store_task(database, sent_at=LONG_AGO)
    database.failures_left = 6

    with run(SweepWithBugs(context)):
        eventually(lambda: dispatcher.sent_ids == [task.id])


def test_slow_sweep_does_not_delay_webhooks(
    run: Run, context: ServiceContext, database: FlakyDatabase, received: list[str]
) -> None:
    sweep = BlockingSweep(context)
    with run(sweep):
        try:
            assert sweep.started.wait(WAIT_S)
            add_webhook_call(database, "a")
            eventually(lambda: received == ["a"])
        finally:
            sweep.release.set()


def test_slow_schedules_delay_neither_sweep_nor_webhooks(
    run: Run,
    context: ServiceContext,
    dispatcher: FakeDispatcher,
    received: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started, release = threading.Event(), threading.Event()

    def fire_due(_context: ServiceContext, **_options: Any) -> None:
        started.set()
        assert release.wait(WAIT_S)

    monkeypatch.setattr(schedule_firing, "fire_due", fire_due)
    with run(RecoverySweep(context)):
        try:
            assert started.wait(WAIT_S)
            task = store_task(context.database, sent_at=LONG_AGO)
            add_webhook_call(context.database, "a")
            eventually(lambda: dispatcher.sent_ids == [task.id])
            eventually(lambda: received == ["a"])
        finally:
            release.set()


def test_stop_interrupts_a_long_run_of_schedules(
    run: Run, context: ServiceContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = threading.Event()

    def fire_due(_context: ServiceContext, *, stopping: Callable[[], bool]) -> None:
        started.set()
        eventually(stopping)

    monkeypatch.setattr(schedule_firing, "fire_due", fire_due)
    with run(RecoverySweep(context)) as work:
        assert started.wait(WAIT_S)
        work.stop()


def test_one_sweep_runs_at_a_time(run: Run, context: ServiceContext) -> None:
    sweep = BlockingSweep(context)
    sweep.release.set()

    with run(sweep):
        eventually(lambda: sweep.runs > 2)

    assert sweep.most_at_a_time == 1


def test_stop_waits_for_the_sweep_in_progress(run: Run, context: ServiceContext) -> None:
    sweep = BlockingSweep(context)
    with run(sweep) as work:
        assert sweep.started.wait(WAIT_S)
        stopping = threading.Thread(target=work.stop)
        stopping.start()
        sweep.release.set()
        stopping.join(WAIT_S)

        assert not stopping.is_alive()
        assert (sweep.runs, sweep.running) == (1, 0)
