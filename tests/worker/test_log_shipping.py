"""The output of steps is stored while they run."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.eventually import eventually
from tests.store.stores import FlakyDatabase, change, store_task, text_of
from tork_celery.domain.logs import LogPosition
from tork_celery.domain.model import Task
from tork_celery.runtime.protocol import Stream
from tork_celery.worker.active_steps import ActiveStep, ActiveSteps
from tork_celery.worker.log_shipper import LogShipper
from tork_celery.worker.step_output import LogBatch, StepOutput


class BrokenOutput(StepOutput):
    """An output with a bug, until `fixed` is set."""

    fixed = False

    def __init__(self, task: Task) -> None:
        super().__init__(task_id=task.id, step=0, stored=LogPosition(), limit_bytes=100)
        self.failed = threading.Event()

    @contextmanager
    def storing(self, *, final: bool = False) -> Iterator[LogBatch]:
        if not self.fixed:
            self.failed.set()
            raise KeyError
        with super().storing(final=final) as batch:
            yield batch


def make_step(task: Task) -> ActiveStep:
    output = StepOutput(task_id=task.id, step=0, stored=LogPosition(), limit_bytes=100_000_000)
    return ActiveStep(ref=task.ref, job_id=task.job_id, output=output)


def print_text(step: ActiveStep, text: str) -> None:
    step.output(Stream.STDOUT, text.encode())


@pytest.fixture
def steps() -> ActiveSteps:
    return ActiveSteps(lambda _ref, _grace_s: None, grace_s=0.0)


@pytest.fixture
def shipper(database: FlakyDatabase, steps: ActiveSteps) -> LogShipper:
    return LogShipper(database, steps, interval_s=0.01)


@pytest.fixture
def running_shipper(shipper: LogShipper) -> Iterator[LogShipper]:
    shipper.start()
    yield shipper
    shipper.stop()


@pytest.mark.usefixtures("running_shipper")
def test_output_of_active_steps_is_stored(database: FlakyDatabase, steps: ActiveSteps) -> None:
    first, second = store_task(database), store_task(database)
    one, two = make_step(first), make_step(second)

    with steps.running(one), steps.running(two):
        print_text(one, "one\n")
        print_text(two, "two\n")
        eventually(lambda: (text_of(database, first.id), text_of(database, second.id)) == ("one\n", "two\n"))
        print_text(one, "more\n")
        eventually(lambda: text_of(database, first.id) == "one\nmore\n")


@pytest.mark.usefixtures("running_shipper")
def test_no_output_is_lost_while_the_datastore_is_down(database: FlakyDatabase, steps: ActiveSteps) -> None:
    task = store_task(database)
    step = make_step(task)

    with steps.running(step):
        database.down = True
        print_text(step, "one\n")
        eventually(lambda: database.failures > 1)
        print_text(step, "two\n")
        database.down = False
        eventually(lambda: text_of(database, task.id) == "one\ntwo\n")


@pytest.mark.usefixtures("running_shipper")
def test_bug_does_not_end_the_thread(database: FlakyDatabase, steps: ActiveSteps) -> None:
    task = store_task(database)
    output = BrokenOutput(task)
    step = ActiveStep(ref=task.ref, job_id=task.job_id, output=output)

    with steps.running(step):
        assert output.failed.wait(20)
        output.fixed = True
        print_text(step, "one\n")
        eventually(lambda: text_of(database, task.id) == "one\n")


def test_output_of_a_superseded_delivery_is_dropped(database: FlakyDatabase, shipper: LogShipper) -> None:
    task, another = store_task(database), store_task(database)
    superseded, current = make_step(task), make_step(another)
    change(database, task, delivery=2)
    print_text(superseded, "superseded\n")
    print_text(current, "current\n")

    assert shipper.ship([superseded, current])

    assert (text_of(database, task.id), text_of(database, another.id)) == ("", "current\n")
    with superseded.output.storing() as batch:
        assert batch.parts == ()


def test_nothing_printed_costs_no_transaction(database: FlakyDatabase, shipper: LogShipper) -> None:
    step = make_step(store_task(database))
    database.down = True

    assert shipper.ship([step])
    assert shipper.ship([])


def test_ship_reports_an_outage_and_stores_the_output_later(
    database: FlakyDatabase, shipper: LogShipper
) -> None:
    task = store_task(database)
    step = make_step(task)
    print_text(step, "x\n")
    database.failures_left = 1

    assert not shipper.ship([step])
    assert shipper.ship([step])
    assert text_of(database, task.id) == "x\n"


def test_open_line_is_stored_at_the_end(database: FlakyDatabase, shipper: LogShipper) -> None:
    task = store_task(database)
    step = make_step(task)
    print_text(step, "whole\nopen")

    shipper.ship([step])
    before = text_of(database, task.id)
    shipper.ship([step], final=True)

    assert (before, text_of(database, task.id)) == ("whole\n", "whole\nopen")


def test_output_waits_while_the_disk_of_the_datastore_is_full(
    database: FlakyDatabase, shipper: LogShipper
) -> None:
    """Otherwise it would fill what is left for outcomes, cancelling and deleting."""
    task = store_task(database)
    step = make_step(task)
    print_text(step, "x\n")
    database.full = True
    assert not shipper.ship([step])
    assert text_of(database, task.id) == ""

    database.full = False
    assert shipper.ship([step])
    assert text_of(database, task.id) == "x\n"
