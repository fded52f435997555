"""A worker that stops leaves its steps to its next process, or releases their tasks."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection

from tests.domain.samples import task_definition
from tests.eventually import eventually
from tests.services.fakes import FakeDispatcher
from tests.store.stores import FlakyDatabase, change, output_of, store_task, system_lines, task_now
from tests.worker.fakes import FakeRuntime, MakeWorker, StepCall, run_until_finished, running_step
from tork_celery.domain.states import Outcome, TaskState
from tork_celery.runtime.protocol import StepExit
from tork_celery.worker.worker import ChainAction


def print_and_run(call: StepCall) -> StepExit:
    call.print("started\n")
    return run_until_finished(call)


def test_detached_step_still_belongs_to_the_node(
    make_worker: MakeWorker, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    runtime = FakeRuntime(print_and_run)
    task = store_task(database)
    worker = make_worker(runtime)

    with running_step(worker, runtime, task.ref) as action:
        eventually(lambda: output_of(database, task.id) == "started\n")
        worker.detach()
        assert action.result(timeout=20) is ChainAction.IGNORE

    detached = task_now(database, task.id)
    assert (detached.state, detached.step_running, detached.delivery) == (TaskState.RUNNING, True, 1)
    assert output_of(database, task.id) == "started\n"
    assert system_lines(database, task.id) == []
    assert (runtime.killed, runtime.removed_steps, runtime.removed_deliveries) == ([], [], [])
    assert dispatcher.sent == []


@pytest.mark.parametrize(("release", "adopts"), [(True, True), (False, False), (True, False)])
def test_released_task_starts_again_on_any_node(
    make_worker: MakeWorker,
    database: FlakyDatabase,
    dispatcher: FakeDispatcher,
    *,
    release: bool,
    adopts: bool,
) -> None:
    runtime = FakeRuntime(print_and_run, adopts=adopts)
    task = store_task(database, task_definition(pre=1))
    worker = make_worker(runtime)

    with running_step(worker, runtime, task.ref) as action:
        eventually(lambda: output_of(database, task.id) == "started\n")
        (worker.release if release else worker.detach)()
        assert action.result(timeout=20) is ChainAction.IGNORE

    released = task_now(database, task.id)
    eventually(lambda: dispatcher.sent == [released])
    assert (released.state, released.node) == (TaskState.SCHEDULED, None)
    assert (released.step, released.step_running) == (0, False)
    assert (released.delivery, released.losses, released.error) == (2, 0, None)
    assert output_of(database, task.id) == "started\n"
    assert system_lines(database, task.id) == ["the step is killed: the worker stops and releases the task"]
    assert runtime.killed == [task.ref]
    assert (runtime.removed_steps, runtime.removed_deliveries) == ([task.ref], [(task.id, 1)])


def test_task_of_another_node_is_not_released(
    make_worker: MakeWorker, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    runtime = FakeRuntime(run_until_finished)
    task = store_task(database)
    worker = make_worker(runtime)

    with running_step(worker, runtime, task.ref) as action:
        current = change(database, task_now(database, task.id), delivery=2, node="another")
        worker.release()
        assert action.result(timeout=20) is ChainAction.IGNORE

    assert task_now(database, task.id) == current
    assert dispatcher.sent == []


def test_task_is_released_without_a_broker(
    make_worker: MakeWorker, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    runtime = FakeRuntime(run_until_finished)
    task = store_task(database)
    worker = make_worker(runtime)
    dispatcher.away = True

    with running_step(worker, runtime, task.ref) as action:
        worker.release()
        assert action.result(timeout=20) is ChainAction.IGNORE

    assert task_now(database, task.id).state is TaskState.SCHEDULED


def test_release_without_a_datastore_leaves_the_task_to_its_lease(
    make_worker: MakeWorker, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    runtime = FakeRuntime(run_until_finished)
    task = store_task(database)
    worker = make_worker(runtime)

    with running_step(worker, runtime, task.ref) as action:
        database.down = True
        worker.release()
        assert action.result(timeout=20) is ChainAction.IGNORE

    database.down = False
    assert task_now(database, task.id).state is TaskState.RUNNING
    assert dispatcher.sent == []


def test_worker_that_waits_for_the_datastore_can_be_stopped(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    """The container stays: it tells the next process how the step ended."""
    runtime = FakeRuntime(run_until_finished)
    task = store_task(database)
    worker = make_worker(runtime)

    with running_step(worker, runtime, task.ref) as action:
        database.down = True
        runtime.finish(task.ref)
        eventually(lambda: database.failures)
        worker.detach()
        assert action.result(timeout=20) is ChainAction.IGNORE

    assert runtime.removed_steps == []


def test_draining_worker_completes_running_steps_and_starts_none(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    runtime = FakeRuntime(run_until_finished)
    task, another = store_task(database), store_task(database)
    worker = make_worker(runtime)

    with running_step(worker, runtime, task.ref) as action:
        worker.drain(within_s=0.0)
        assert worker.run(another.ref) is ChainAction.REQUEUE
        runtime.finish(task.ref)
        worker.drain(within_s=20.0)
        assert action.result(timeout=20) is ChainAction.NEXT

    assert task_now(database, task.id).outcome is Outcome.COMPLETED


def test_close_closes_the_runtime(make_worker: MakeWorker) -> None:
    runtime = FakeRuntime()

    make_worker(runtime).close()

    assert runtime.closed


def test_step_that_was_claimed_just_before_the_release_is_released_too(
    make_worker: MakeWorker,
    database: FlakyDatabase,
    dispatcher: FakeDispatcher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The worker stops between the claim of a step and the start of its container."""
    runtime = FakeRuntime(run_until_finished)
    task = store_task(database)
    worker = make_worker(runtime)
    read = database.reading

    @contextmanager
    def release_and_read() -> Iterator[Connection]:
        worker.release()
        with read() as tx:
            yield tx

    with monkeypatch.context() as patched, ThreadPoolExecutor(1) as pool:
        patched.setattr(database, "reading", release_and_read)
        action = pool.submit(worker.run, task.ref)
        try:
            assert action.result(timeout=20) is ChainAction.IGNORE
        finally:
            runtime.finish(task.ref)

    released = task_now(database, task.id)
    assert (released.state, released.delivery) == (TaskState.SCHEDULED, 2)
    eventually(lambda: dispatcher.sent == [released])
    assert (runtime.runs, runtime.removed_deliveries) == ([], [(task.id, 1)])


def test_step_that_succeeded_is_not_released(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    def program(call: StepCall) -> StepExit:
        call.started()
        worker.release()
        return StepExit(code=0)

    task = store_task(database)
    worker = make_worker(FakeRuntime(program))

    assert worker.run(task.ref) is ChainAction.NEXT
    assert task_now(database, task.id).outcome is Outcome.COMPLETED
