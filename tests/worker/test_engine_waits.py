"""Waits of a step for the engine: their limits, what ends them, and what the task's log says."""

from collections.abc import Callable, Iterator

import pytest

from tests.domain.samples import task_definition
from tests.eventually import eventually
from tests.services.fakes import FakeDispatcher
from tests.store.stores import FlakyDatabase, change, store_task, task_now, text_of
from tests.worker.fakes import NODE, FakeRuntime, MakeWorker, StepCall, running_step, succeed
from tork_celery.domain.backoff import PASSING, UNKNOWN, Backoff, RetryLimit
from tork_celery.domain.errors import EngineFailed, EngineUnavailable
from tork_celery.domain.node import Node
from tork_celery.domain.states import Outcome, TaskState
from tork_celery.runtime.protocol import AlreadyStarted, StepExit, StepRemoved, VolumesRemoved
from tork_celery.store import nodes
from tork_celery.worker import backoff, engine_waits, worker
from tork_celery.worker.worker import ChainAction

AWAY = EngineUnavailable("the container engine does not answer: Connection refused")


@pytest.fixture(autouse=True)
def no_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "_BACKOFF", Backoff(first_s=0.01, longest_s=0.01))
    monkeypatch.setattr(worker, "_REQUEUE_PAUSE_S", 0.0)


def failing(call: str = "start the container", *, tries: int = 2) -> EngineFailed:
    limit = RetryLimit(tries=tries, within_s=10.0, backoff=Backoff(first_s=0.0, longest_s=0.0))
    return EngineFailed(f"the container engine could not {call}: no", call=call, limit=limit)


def add_node(database: FlakyDatabase, name: str, *queues: str) -> None:
    with database.transaction() as tx:
        nodes.register(tx, Node(name=name, instance=name, hostname="h", pid=1, queues=queues, version="1"))


def waiting(call: StepCall) -> StepExit:
    """Let the test continue, with an engine that does not answer."""
    call.runtime.step_started.set()
    raise AWAY


def started_then(error: Exception) -> Callable[[StepCall], StepExit]:
    def program(call: StepCall) -> StepExit:
        call.started()
        raise error

    return program


@pytest.mark.parametrize("limit", [PASSING, UNKNOWN])
def test_limits_of_the_engine_end_within_ten_seconds(limit: RetryLimit) -> None:
    delays_s = [limit.delay_s(failures, elapsed_s=0.0) for failures in range(1, limit.tries + 1)]

    assert delays_s[-1] is None
    assert sum(filter(None, delays_s)) < 10.0
    assert limit.delay_s(1, elapsed_s=10.0) is None


def test_call_that_fails_once_is_tried_again(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    runtime = FakeRuntime(failing(), succeed)
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.NEXT

    assert len(runtime.runs) == 2
    assert (
        text_of(database, task.id) == "the container engine could not start the container: no; trying again\n"
    )


def test_call_that_fails_too_often_fails_the_attempt_with_the_words_of_the_engine(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    runtime = FakeRuntime(failing(tries=3))
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.ADVANCE

    failed = task_now(database, task.id)
    assert (failed.outcome, failed.error) == (
        Outcome.FAILED,
        "the container engine could not start the container: no",
    )
    assert len(runtime.runs) == 3
    assert text_of(database, task.id).count("trying again") == 1
    assert runtime.removed_deliveries == [(task.id, 1)]


def test_call_that_fails_because_the_engine_stops_uses_up_no_attempt(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    def program(call: StepCall) -> StepExit:
        call.runtime.shutting_down = True
        raise failing(tries=1)

    runtime = FakeRuntime(program, program, program, succeed)
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.NEXT

    assert task_now(database, task.id).outcome is Outcome.COMPLETED
    assert "the engine shuts down; trying again, for" in text_of(database, task.id)


def test_each_call_has_tries_of_its_own(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    runtime = FakeRuntime(failing("create the network"), failing("start the container"), succeed)
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.NEXT

    assert text_of(database, task.id).count("trying again") == 2


def test_log_says_once_why_the_step_waits_and_when_that_ends(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    runtime = FakeRuntime(AWAY, AWAY, AWAY, succeed)
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.NEXT

    assert text_of(database, task.id) == (
        "the container engine does not answer: Connection refused; trying again, for 3600 s at most\n"
        "the container engine answers again\n"
    )


@pytest.mark.parametrize(("timeout", "engine_wait_s"), [("1ms", 3600.0), (None, 0.001)])
def test_task_moves_to_another_worker_of_its_queue_after_the_longest_wait(
    make_worker: MakeWorker,
    database: FlakyDatabase,
    dispatcher: FakeDispatcher,
    timeout: str | None,
    engine_wait_s: float,
) -> None:
    add_node(database, "other@there", "default")
    task = store_task(database, task_definition(timeout=timeout))
    runtime = FakeRuntime(AWAY)

    action = make_worker(runtime, engine_wait_s=engine_wait_s).run(task.ref)

    moved = task_now(database, task.id)
    assert action is ChainAction.IGNORE
    assert (moved.state, moved.delivery, moved.node) == (TaskState.SCHEDULED, 2, None)
    assert (moved.attempts, moved.losses) == (0, 0)
    eventually(lambda: dispatcher.sent == [moved])
    assert "another worker takes the task" in text_of(database, task.id)
    assert runtime.removed_deliveries == [(task.id, 1)]


@pytest.mark.parametrize("queues", [("elsewhere",), ()])
def test_task_waits_on_without_another_worker_of_its_queue(
    make_worker: MakeWorker, database: FlakyDatabase, queues: tuple[str, ...]
) -> None:
    add_node(database, "other@there", *queues)
    add_node(database, NODE, "default")
    task = store_task(database)
    tries = 5
    runtime = FakeRuntime(*[AWAY] * tries, succeed)

    assert make_worker(runtime, engine_wait_s=0.0).run(task.ref) is ChainAction.NEXT

    assert len(runtime.runs) == tries + 1
    assert text_of(database, task.id).count("so it waits on") == 1


class MovableRuntime(FakeRuntime):
    """An engine that does not answer while `away`."""

    def check(self, *, within_s: float = 5.0) -> None:
        del within_s
        if self.away:
            raise AWAY


@pytest.fixture
def moved_runtime(database: FlakyDatabase) -> Iterator[MovableRuntime]:
    """A runtime of a worker that releases each task at once while another worker serves its queue."""
    add_node(database, "other@there", "default")
    runtime = MovableRuntime(AWAY, succeed)
    runtime.away = True
    yield runtime
    runtime.away = False


def test_worker_leaves_a_task_that_it_released_to_others_while_its_engine_is_away(
    make_worker: MakeWorker, database: FlakyDatabase, moved_runtime: MovableRuntime
) -> None:
    task = store_task(database)
    worker = make_worker(moved_runtime, engine_wait_s=0.0)
    worker.run(task.ref)
    moved = task_now(database, task.id)

    assert worker.run(moved.ref) is ChainAction.REQUEUE
    assert task_now(database, task.id) == moved

    moved_runtime.away = False
    assert worker.run(moved.ref) is ChainAction.NEXT
    assert task_now(database, task.id).outcome is Outcome.COMPLETED


def test_worker_takes_a_task_that_it_released_when_the_other_worker_is_gone(
    make_worker: MakeWorker, database: FlakyDatabase, moved_runtime: MovableRuntime
) -> None:
    task = store_task(database)
    worker = make_worker(moved_runtime, engine_wait_s=0.0)
    worker.run(task.ref)
    with database.transaction() as tx:
        nodes.record_stop(tx, name="other@there", instance="other@there")

    assert worker.run(task_now(database, task.id).ref) is ChainAction.NEXT


def test_release_ends_a_wait_and_leaves_nothing_behind(
    make_worker: MakeWorker, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    runtime = FakeRuntime(waiting)
    task = store_task(database)
    worker = make_worker(runtime)

    with running_step(worker, runtime, task.ref) as action:
        worker.release()
        assert action.result(timeout=20) is ChainAction.IGNORE

    released = task_now(database, task.id)
    assert (released.state, released.delivery) == (TaskState.SCHEDULED, 2)
    eventually(lambda: dispatcher.sent == [released])
    assert (runtime.removed_steps, runtime.removed_deliveries) == ([task.ref], [(task.id, 1)])


@pytest.mark.parametrize("limit", [PASSING, UNKNOWN], ids=["passing", "unknown"])
def test_detach_ends_a_wait_between_two_tries(
    make_worker: MakeWorker, database: FlakyDatabase, limit: RetryLimit
) -> None:
    def program(call: StepCall) -> StepExit:
        call.runtime.step_started.set()
        raise EngineFailed("no", call="start the container", limit=limit)

    runtime = FakeRuntime(program)
    task = store_task(database)
    worker = make_worker(runtime)

    with running_step(worker, runtime, task.ref) as action:
        worker.detach()
        assert action.result(timeout=20) is ChainAction.IGNORE

    assert task_now(database, task.id).state is TaskState.RUNNING


def test_cancel_ends_a_wait(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    runtime = FakeRuntime(waiting)
    runtime.away = True
    task = store_task(database)
    worker = make_worker(runtime)

    with running_step(worker, runtime, task.ref) as action:
        change(database, task_now(database, task.id), state=TaskState.CANCELLED)
        worker.renew_leases()
        assert action.result(timeout=20) is ChainAction.IGNORE

    assert runtime.removed_deliveries == [(task.id, 1)]


def test_timeout_of_a_task_that_has_started_ends_a_wait(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    runtime = FakeRuntime(started_then(AWAY), AWAY)
    runtime.away = True
    task = store_task(database, task_definition(timeout="100ms"))

    assert make_worker(runtime).run(task.ref) is ChainAction.ADVANCE

    assert task_now(database, task.id).error == "timed out after 100ms"
    assert runtime.removed_deliveries == [(task.id, 1)]


@pytest.mark.parametrize("error", [AWAY, failing(tries=10_000)], ids=["away", "failing"])
def test_timeout_counts_while_a_later_step_waits(
    make_worker: MakeWorker, database: FlakyDatabase, error: Exception
) -> None:
    runtime = FakeRuntime(error)
    definition = task_definition(pre=1, timeout="1h")
    started = {"state": TaskState.RUNNING, "node": NODE, "step": 1, "deadline_at": 1.0}
    task = store_task(database, definition, **started)

    assert make_worker(runtime).run(task.ref) is ChainAction.ADVANCE

    assert task_now(database, task.id).error == "timed out after 1h"


@pytest.mark.parametrize("code", [137, 143, 255])
@pytest.mark.parametrize("error", [AWAY, failing()], ids=["away", "failing"])
def test_exit_code_counts_if_the_engine_failed_only_before_the_container_started(
    make_worker: MakeWorker, database: FlakyDatabase, error: Exception, code: int
) -> None:
    def program(call: StepCall) -> StepExit:
        call.started()
        return StepExit(code=code)

    runtime = FakeRuntime(error, program)
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.ADVANCE

    assert len(runtime.runs) == 2
    assert task_now(database, task.id).error == f"exit code {code}"


def test_step_that_was_killed_while_the_engine_was_away_runs_again(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    runtime = FakeRuntime(started_then(AWAY), AlreadyStarted(), succeed, followed=[StepExit(code=137)])
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.NEXT

    assert len(runtime.runs) == 3
    assert runtime.removed_steps[0] == task.ref


def test_removed_step_runs_again_without_using_up_an_attempt(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    def removed(call: StepCall) -> StepExit:
        call.started()
        call.print("first\n")
        raise StepRemoved("another program removed the container")

    def complete(call: StepCall) -> StepExit:
        call.started()
        call.print("second\n")
        return StepExit(code=0)

    runtime = FakeRuntime(removed, complete)
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.NEXT

    done = task_now(database, task.id)
    assert (done.outcome, done.delivery, done.attempts) == (Outcome.COMPLETED, 1, 0)
    assert done.result == "second\n"
    assert runtime.removed_steps[0] == task.ref
    assert "another program removed the container; trying again" in text_of(database, task.id)


def test_removed_volumes_start_the_task_again_from_its_first_step(
    make_worker: MakeWorker, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    runtime = FakeRuntime(VolumesRemoved("another program removed the volume at /data"))
    task = store_task(database, task_definition(pre=1), state=TaskState.RUNNING, node=NODE, step=1)

    assert make_worker(runtime).run(task.ref) is ChainAction.IGNORE

    again = task_now(database, task.id)
    assert (again.state, again.delivery, again.step) == (TaskState.SCHEDULED, 2, 0)
    assert (again.attempts, again.losses) == (0, 0)
    eventually(lambda: dispatcher.sent == [again])
    assert text_of(database, task.id) == (
        "another program removed the volume at /data; the task starts again from its first step\n"
    )
    assert runtime.removed_deliveries == [(task.id, 1)]


def test_volumes_that_are_removed_in_each_delivery_fail_the_attempt(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    runtime = FakeRuntime(VolumesRemoved("another program removed the volume at /data"))
    late = {"state": TaskState.RUNNING, "node": NODE, "step": 1, "delivery": 10}
    task = store_task(database, task_definition(pre=1), **late)

    assert make_worker(runtime).run(task.ref) is ChainAction.ADVANCE

    assert task_now(database, task.id).error == (
        "another program removed the volume at /data, in delivery 10 of the task"
    )


def test_step_that_is_removed_each_time_fails_the_attempt(
    make_worker: MakeWorker, database: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = RetryLimit(tries=3, within_s=10.0, backoff=Backoff(first_s=0.0, longest_s=0.0))
    monkeypatch.setattr(engine_waits, "_REMOVALS", limit)
    runtime = FakeRuntime(started_then(StepRemoved("removed")))
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.ADVANCE

    assert len(runtime.runs) == 3
    assert task_now(database, task.id).error == "removed"


def test_reason_is_in_the_log_while_the_step_waits(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    runtime = FakeRuntime(waiting)
    task = store_task(database)
    worker = make_worker(runtime)

    with running_step(worker, runtime, task.ref) as action:
        eventually(lambda: "Connection refused; trying again" in text_of(database, task.id))
        worker.detach()
        assert action.result(timeout=20) is ChainAction.IGNORE
