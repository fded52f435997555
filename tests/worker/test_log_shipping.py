"""What steps print reaches the datastore while they run."""

import threading
from collections.abc import Iterator
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from tests.eventually import eventually
from tests.store.stores import CuttableDatabase, change, store_task, text_of
from tork_celery.domain.logs import LogPosition
from tork_celery.domain.model import Task
from tork_celery.runtime.protocol import Stream
from tork_celery.worker.active_steps import ActiveStep, ActiveSteps, StopReason
from tork_celery.worker.log_shipper import LogShipper
from tork_celery.worker.step_output import FULL_CHARACTERS, StepOutput


def a_step(task: Task) -> ActiveStep:
    output = StepOutput(task_id=task.id, step=0, stored=LogPosition(), limit_bytes=100_000_000)
    return ActiveStep(ref=task.ref, job_id=task.job_id, output=output)


def printed(step: ActiveStep, text: str) -> None:
    step.output(Stream.STDOUT, text.encode())


@pytest.fixture
def steps() -> ActiveSteps:
    return ActiveSteps(lambda _ref, _grace_s: None, grace_s=0.0)


@pytest.fixture
def shipper(database: CuttableDatabase, steps: ActiveSteps) -> LogShipper:
    return LogShipper(database, steps, interval_s=0.01)


@pytest.fixture
def at_work(shipper: LogShipper) -> Iterator[LogShipper]:
    shipper.start()
    yield shipper
    shipper.stop()


def test_what_active_steps_print_is_stored(
    database: CuttableDatabase, steps: ActiveSteps, at_work: LogShipper
) -> None:
    del at_work
    first, second = store_task(database), store_task(database)
    one, another = a_step(first), a_step(second)

    with steps.running(one), steps.running(another):
        printed(one, "one\n")
        printed(another, "another\n")
        eventually(
            lambda: (text_of(database, first.id), text_of(database, second.id)) == ("one\n", "another\n")
        )
        printed(one, "more\n")
        eventually(lambda: text_of(database, first.id) == "one\nmore\n")


def test_while_the_datastore_is_away_nothing_is_lost(
    database: CuttableDatabase, steps: ActiveSteps, at_work: LogShipper
) -> None:
    del at_work
    task = store_task(database)
    step = a_step(task)

    with steps.running(step):
        database.away = True
        printed(step, "one\n")
        eventually(lambda: database.refusals > 1)
        printed(step, "two\n")
        database.away = False
        eventually(lambda: text_of(database, task.id) == "one\ntwo\n")


def test_a_bug_does_not_end_it(
    database: CuttableDatabase, steps: ActiveSteps, at_work: LogShipper, monkeypatch: pytest.MonkeyPatch
) -> None:
    del at_work
    task = store_task(database)
    step, failed = a_step(task), threading.Event()

    def fail(**_: object) -> None:
        failed.set()
        raise KeyError

    with steps.running(step):
        with monkeypatch.context() as patched:
            patched.setattr(step, "output", SimpleNamespace(storing=nullcontext(), take=fail))
            assert failed.wait(20)
        printed(step, "one\n")
        eventually(lambda: text_of(database, task.id) == "one\n")


def test_what_was_printed_for_a_superseded_delivery_is_dropped(
    database: CuttableDatabase, shipper: LogShipper
) -> None:
    task, another = store_task(database), store_task(database)
    old, current = a_step(task), a_step(another)
    change(database, task, delivery=2)
    printed(old, "old\n")
    printed(current, "current\n")

    assert shipper.ship([old, current])

    assert (text_of(database, task.id), text_of(database, another.id)) == ("", "current\n")
    assert old.output.take() == ()


def test_with_nothing_printed_the_datastore_is_not_asked(
    database: CuttableDatabase, shipper: LogShipper
) -> None:
    step = a_step(store_task(database))
    database.away = True

    assert shipper.ship([step])
    assert shipper.ship([])


def test_a_datastore_that_is_away_is_said(database: CuttableDatabase, shipper: LogShipper) -> None:
    task = store_task(database)
    step = a_step(task)
    printed(step, "x\n")
    database.outages = 1

    assert not shipper.ship([step])
    assert shipper.ship([step])
    assert text_of(database, task.id) == "x\n"


def test_an_open_line_is_stored_at_the_end(database: CuttableDatabase, shipper: LogShipper) -> None:
    task = store_task(database)
    step = a_step(task)
    printed(step, "whole\nopen")

    shipper.ship([step])
    before = text_of(database, task.id)
    shipper.ship([step], final=True)

    assert (before, text_of(database, task.id)) == ("whole\n", "whole\nopen")


def test_a_step_that_prints_much_waits_for_the_datastore(
    database: CuttableDatabase, shipper: LogShipper
) -> None:
    task = store_task(database)
    step = a_step(task)
    printed(step, "x\n" * FULL_CHARACTERS)
    database.outages = 2

    shipper.make_room(step)

    assert not step.output.full
    assert text_of(database, task.id) == "x\n" * FULL_CHARACTERS


def test_a_step_that_was_ended_waits_no_more(database: CuttableDatabase, shipper: LogShipper) -> None:
    step = a_step(store_task(database))
    printed(step, "x\n" * FULL_CHARACTERS)
    step.stop_reason = StopReason.SUPERSEDED
    database.away = True

    shipper.make_room(step)

    assert database.refusals == 0


def test_stopping_ends_the_waiting(database: CuttableDatabase, at_work: LogShipper) -> None:
    step = a_step(store_task(database))
    printed(step, "x\n" * FULL_CHARACTERS)
    database.away = True
    waiting = threading.Thread(target=at_work.make_room, args=[step])
    waiting.start()
    eventually(lambda: database.refusals)

    at_work.stop()
    waiting.join()

    assert step.output.full
