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
from tork_celery.worker.worker import Verdict, Worker

Hire = Callable[[FakeRuntime], Worker]

NODE = "default@here"


def say_and_hold(call: Call) -> StepExit:
    call.say("begun\n")
    return hold(call)


def test_a_step_that_was_left_stays_the_nodes_own(
    hire: Hire, database: CuttableDatabase, dispatcher: FakeDispatcher
) -> None:
    runtime = FakeRuntime(say_and_hold)
    task = store_task(database)
    worker = hire(runtime)

    with at_work(worker, runtime, task.ref) as verdict:
        worker.stop(release=False)
        assert verdict.result(timeout=20) is Verdict.IGNORE

    left = task_now(database, task.id)
    assert (left.state, left.step_running, left.delivery) == (TaskState.RUNNING, True, 1)
    assert text_of(database, task.id) == "begun\n"
    assert (runtime.stopped, runtime.discarded, runtime.released, dispatcher.sent) == ([], [], [], [])


@pytest.mark.parametrize(("release", "adopts"), [(True, True), (False, False), (True, False)])
def test_a_task_that_is_given_back_starts_again_anywhere(
    hire: Hire, database: CuttableDatabase, dispatcher: FakeDispatcher, *, release: bool, adopts: bool
) -> None:
    runtime = FakeRuntime(say_and_hold, adopts=adopts)
    task = store_task(database, task_definition(pre=1))
    worker = hire(runtime)

    with at_work(worker, runtime, task.ref) as verdict:
        worker.stop(release=release)
        assert verdict.result(timeout=20) is Verdict.IGNORE

    free = task_now(database, task.id)
    assert dispatcher.sent == [free]
    assert (free.state, free.node, free.step, free.step_running) == (TaskState.SCHEDULED, None, 0, False)
    assert (free.delivery, free.losses, free.error) == (2, 0, None)
    assert text_of(database, task.id) == "begun\n"
    assert runtime.stopped == [task.ref]
    assert (runtime.discarded, runtime.released) == ([task.ref], [(task.id, 1)])


def test_what_is_not_the_nodes_own_is_not_given_back(
    hire: Hire, database: CuttableDatabase, dispatcher: FakeDispatcher
) -> None:
    runtime = FakeRuntime(hold)
    task = store_task(database)
    worker = hire(runtime)

    with at_work(worker, runtime, task.ref) as verdict:
        current = change(database, task_now(database, task.id), delivery=2, node="another")
        worker.stop(release=True)
        assert verdict.result(timeout=20) is Verdict.IGNORE

    assert task_now(database, task.id) == current
    assert dispatcher.sent == []


def test_without_a_broker_a_task_is_free_all_the_same(
    hire: Hire, database: CuttableDatabase, dispatcher: FakeDispatcher
) -> None:
    runtime = FakeRuntime(hold)
    task = store_task(database)
    worker = hire(runtime)
    dispatcher.away = True

    with at_work(worker, runtime, task.ref) as verdict:
        worker.stop(release=True)
        assert verdict.result(timeout=20) is Verdict.IGNORE

    assert task_now(database, task.id).state is TaskState.SCHEDULED


def test_without_a_datastore_a_task_is_left_to_its_lease(
    hire: Hire, database: CuttableDatabase, dispatcher: FakeDispatcher
) -> None:
    runtime = FakeRuntime(hold)
    task = store_task(database)
    worker = hire(runtime)

    with at_work(worker, runtime, task.ref) as verdict:
        database.away = True
        worker.stop(release=True)
        assert verdict.result(timeout=20) is Verdict.IGNORE

    database.away = False
    assert task_now(database, task.id).state is TaskState.RUNNING
    assert dispatcher.sent == []


def test_a_worker_that_waits_for_the_datastore_stops_all_the_same(
    hire: Hire, database: CuttableDatabase
) -> None:
    runtime = FakeRuntime(hold)
    task = store_task(database)
    worker = hire(runtime)

    with at_work(worker, runtime, task.ref) as verdict:
        database.away = True
        runtime.finish(task.ref)
        eventually(lambda: database.refusals)
        worker.stop(release=False)
        assert verdict.result(timeout=20) is Verdict.IGNORE

    assert runtime.discarded == []  # what the step left tells the next process how it ended


def test_a_step_may_be_waited_for_while_no_other_begins(hire: Hire, database: CuttableDatabase) -> None:
    runtime = FakeRuntime(hold)
    task, another = store_task(database), store_task(database)
    worker = hire(runtime)

    with at_work(worker, runtime, task.ref) as verdict:
        worker.finish(within_s=0.0)
        assert worker.run(another.ref) is Verdict.REQUEUE
        runtime.finish(task.ref)
        worker.finish(within_s=20.0)
        assert verdict.result(timeout=20) is Verdict.NEXT

    assert task_now(database, task.id).outcome is Outcome.COMPLETED


def test_closing_lets_go_of_the_runtime(hire: Hire) -> None:
    runtime = FakeRuntime()

    hire(runtime).close()

    assert runtime.closed


def test_a_step_that_was_claimed_just_before_is_given_back_too(
    hire: Hire, database: CuttableDatabase, dispatcher: FakeDispatcher
) -> None:
    """The worker stops between the claim of a step and the start of its container."""
    runtime = FakeRuntime(hold)
    task = store_task(database)
    worker = hire(runtime)
    begin = database.reading

    @contextmanager
    def reading() -> Iterator[Connection]:
        worker.stop(release=True)
        with begin() as tx:
            yield tx

    database.reading = reading  # type: ignore[method-assign]
    with ThreadPoolExecutor(1) as pool:
        verdict = pool.submit(worker.run, task.ref)
        try:
            assert verdict.result(timeout=20) is Verdict.IGNORE
        finally:
            runtime.finish(task.ref)

    database.reading = begin  # type: ignore[method-assign]
    free = task_now(database, task.id)
    assert (free.state, free.delivery, dispatcher.sent) == (TaskState.SCHEDULED, 2, [free])
    assert (runtime.runs, runtime.released) == ([], [(task.id, 1)])


def test_a_step_that_has_succeeded_is_not_given_back(hire: Hire, database: CuttableDatabase) -> None:
    def act(call: Call) -> StepExit:
        call.started()
        worker.stop(release=True)
        return StepExit(code=0)

    task = store_task(database)
    worker = hire(FakeRuntime(act))

    assert worker.run(task.ref) is Verdict.NEXT
    assert task_now(database, task.id).outcome is Outcome.COMPLETED


@pytest.mark.parametrize(("for_s", "kept_s"), [(600.0, 600.0), (1.0, 30.0)])
def test_what_is_kept_for_a_planned_stop_stays_so_whatever_heartbeat_comes_yet(
    hire: Hire, database: CuttableDatabase, for_s: float, kept_s: float
) -> None:
    """Never for less than a lease, which is 30 s here."""
    task = store_task(database, task_definition(post=1), state=TaskState.RUNNING, node=NODE, step=1)
    worker = hire(FakeRuntime())

    def left_s() -> float:
        return (task_now(database, task.id).lease_until or 0.0) - seconds_now(database)

    worker.keep(for_s=for_s)
    assert left_s() == pytest.approx(kept_s, abs=20)
    renew(worker)
    assert left_s() == pytest.approx(kept_s, abs=20)
