"""A worker that stops leaves its steps running for the next process, or gives their tasks back."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection

from tests.domain.samples import task_definition
from tests.eventually import eventually
from tests.services.fakes import FakeDispatcher
from tests.store.stores import CuttableDatabase, change, seconds_now, store_task, task_now, text_of
from tests.worker.fakes import Call, FakeRuntime, hold
from tests.worker.threads import at_work
from tork_celery.domain.states import Outcome, TaskState
from tork_celery.runtime.protocol import StepExit
from tork_celery.worker.heartbeat import renew
from tork_celery.worker.worker import ChainAction, Worker

Hire = Callable[[FakeRuntime], Worker]

NODE = "default@here"


def say_and_hold(call: Call) -> StepExit:
    call.say("begun\n")
    return hold(call)


def test_a_step_that_was_left_stays_the_nodes_own(
    make_worker: Hire, database: CuttableDatabase, dispatcher: FakeDispatcher
) -> None:
    runtime = FakeRuntime(say_and_hold)
    task = store_task(database)
    worker = make_worker(runtime)

    with at_work(worker, runtime, task.ref) as verdict:
        worker.detach()
        assert verdict.result(timeout=20) is ChainAction.IGNORE

    left = task_now(database, task.id)
    assert (left.state, left.step_running, left.delivery) == (TaskState.RUNNING, True, 1)
    assert text_of(database, task.id) == "begun\n"
    assert (runtime.stopped, runtime.removed_steps, runtime.removed_deliveries, dispatcher.sent) == (
        [],
        [],
        [],
        [],
    )


@pytest.mark.parametrize(("release", "adopts"), [(True, True), (False, False), (True, False)])
def test_a_task_that_is_given_back_starts_again_anywhere(
    make_worker: Hire, database: CuttableDatabase, dispatcher: FakeDispatcher, *, release: bool, adopts: bool
) -> None:
    runtime = FakeRuntime(say_and_hold, adopts=adopts)
    task = store_task(database, task_definition(pre=1))
    worker = make_worker(runtime)

    with at_work(worker, runtime, task.ref) as verdict:
        (worker.release if release else worker.detach)()
        assert verdict.result(timeout=20) is ChainAction.IGNORE

    free = task_now(database, task.id)
    assert dispatcher.sent == [free]
    assert (free.state, free.node, free.step, free.step_running) == (TaskState.SCHEDULED, None, 0, False)
    assert (free.delivery, free.losses, free.error) == (2, 0, None)
    assert text_of(database, task.id) == "begun\n"
    assert runtime.stopped == [task.ref]
    assert (runtime.removed_steps, runtime.removed_deliveries) == ([task.ref], [(task.id, 1)])


def test_what_is_not_the_nodes_own_is_not_given_back(
    make_worker: Hire, database: CuttableDatabase, dispatcher: FakeDispatcher
) -> None:
    runtime = FakeRuntime(hold)
    task = store_task(database)
    worker = make_worker(runtime)

    with at_work(worker, runtime, task.ref) as verdict:
        current = change(database, task_now(database, task.id), delivery=2, node="another")
        worker.release()
        assert verdict.result(timeout=20) is ChainAction.IGNORE

    assert task_now(database, task.id) == current
    assert dispatcher.sent == []


def test_without_a_broker_a_task_is_free_all_the_same(
    make_worker: Hire, database: CuttableDatabase, dispatcher: FakeDispatcher
) -> None:
    runtime = FakeRuntime(hold)
    task = store_task(database)
    worker = make_worker(runtime)
    dispatcher.away = True

    with at_work(worker, runtime, task.ref) as verdict:
        worker.release()
        assert verdict.result(timeout=20) is ChainAction.IGNORE

    assert task_now(database, task.id).state is TaskState.SCHEDULED


def test_without_a_datastore_a_task_is_left_to_its_lease(
    make_worker: Hire, database: CuttableDatabase, dispatcher: FakeDispatcher
) -> None:
    runtime = FakeRuntime(hold)
    task = store_task(database)
    worker = make_worker(runtime)

    with at_work(worker, runtime, task.ref) as verdict:
        database.away = True
        worker.release()
        assert verdict.result(timeout=20) is ChainAction.IGNORE

    database.away = False
    assert task_now(database, task.id).state is TaskState.RUNNING
    assert dispatcher.sent == []


def test_a_worker_that_waits_for_the_datastore_stops_all_the_same(
    make_worker: Hire, database: CuttableDatabase
) -> None:
    runtime = FakeRuntime(hold)
    task = store_task(database)
    worker = make_worker(runtime)

    with at_work(worker, runtime, task.ref) as verdict:
        database.away = True
        runtime.finish(task.ref)
        eventually(lambda: database.refusals)
        worker.detach()
        assert verdict.result(timeout=20) is ChainAction.IGNORE

    assert runtime.removed_steps == []  # what the step left tells the next process how it ended


def test_a_step_may_be_waited_for_while_no_other_begins(
    make_worker: Hire, database: CuttableDatabase
) -> None:
    runtime = FakeRuntime(hold)
    task, another = store_task(database), store_task(database)
    worker = make_worker(runtime)

    with at_work(worker, runtime, task.ref) as verdict:
        worker.drain(within_s=0.0)
        assert worker.run(another.ref) is ChainAction.REQUEUE
        runtime.finish(task.ref)
        worker.drain(within_s=20.0)
        assert verdict.result(timeout=20) is ChainAction.NEXT

    assert task_now(database, task.id).outcome is Outcome.COMPLETED


def test_closing_lets_go_of_the_runtime(make_worker: Hire) -> None:
    runtime = FakeRuntime()

    make_worker(runtime).close()

    assert runtime.closed


def test_a_step_that_was_claimed_just_before_is_given_back_too(
    make_worker: Hire, database: CuttableDatabase, dispatcher: FakeDispatcher
) -> None:
    """The worker stops between the claim of a step and the start of its container."""
    runtime = FakeRuntime(hold)
    task = store_task(database)
    worker = make_worker(runtime)
    begin = database.reading

    @contextmanager
    def reading() -> Iterator[Connection]:
        worker.release()
        with begin() as tx:
            yield tx

    database.reading = reading  # type: ignore[method-assign]
    with ThreadPoolExecutor(1) as pool:
        verdict = pool.submit(worker.run, task.ref)
        try:
            assert verdict.result(timeout=20) is ChainAction.IGNORE
        finally:
            runtime.finish(task.ref)

    database.reading = begin  # type: ignore[method-assign]
    free = task_now(database, task.id)
    assert (free.state, free.delivery, dispatcher.sent) == (TaskState.SCHEDULED, 2, [free])
    assert (runtime.runs, runtime.removed_deliveries) == ([], [(task.id, 1)])


def test_a_step_that_has_succeeded_is_not_given_back(make_worker: Hire, database: CuttableDatabase) -> None:
    def act(call: Call) -> StepExit:
        call.started()
        worker.release()
        return StepExit(code=0)

    task = store_task(database)
    worker = make_worker(FakeRuntime(act))

    assert worker.run(task.ref) is ChainAction.NEXT
    assert task_now(database, task.id).outcome is Outcome.COMPLETED


@pytest.mark.parametrize(("for_s", "kept_s"), [(600.0, 600.0), (1.0, 30.0)])
def test_what_is_kept_for_a_planned_stop_stays_so_whatever_heartbeat_comes_yet(
    make_worker: Hire, database: CuttableDatabase, for_s: float, kept_s: float
) -> None:
    """Never for less than a lease, which is 30 s here."""
    task = store_task(database, task_definition(post=1), state=TaskState.RUNNING, node=NODE, step=1)
    worker = make_worker(FakeRuntime())

    def left_s() -> float:
        return (task_now(database, task.id).lease_until or 0.0) - seconds_now(database)

    worker.extend_leases(for_s=for_s)
    assert left_s() == pytest.approx(kept_s, abs=20)
    renew(worker)
    assert left_s() == pytest.approx(kept_s, abs=20)
