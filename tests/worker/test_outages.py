"""An outage of the engine or the datastore costs time, but no attempt and no output."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection

from tests.domain.samples import task_definition
from tests.eventually import eventually
from tests.store.stores import FlakyDatabase, change, store_task, task_now, text_of
from tests.worker.fakes import FakeRuntime, MakeWorker, StepCall, run_until_finished, running_step, succeed
from tork_celery.domain.errors import DatastoreUnavailable, EngineUnavailable
from tork_celery.domain.states import Outcome
from tork_celery.runtime.protocol import AlreadyStarted, StepExit
from tork_celery.worker.worker import ChainAction

pytestmark = pytest.mark.slow  # most of these wait out an outage


def output_of(database: FlakyDatabase, task_id: str) -> str:
    """Return the log of a task without the notes on the engine."""
    lines = text_of(database, task_id).splitlines(keepends=True)
    return "".join(line for line in lines if "trying again" not in line and "answers again" not in line)


def test_step_runs_when_the_engine_is_back(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    runtime = FakeRuntime(EngineUnavailable("away"), EngineUnavailable("still away"), StepExit(code=0))
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.NEXT

    done = task_now(database, task.id)
    assert (done.outcome, done.delivery, done.losses) == (Outcome.COMPLETED, 1, 0)
    assert len(runtime.runs) == 3


def test_step_that_the_engine_killed_to_shut_down_runs_again(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    def killed_by_engine(call: StepCall) -> StepExit:
        call.started()
        call.print("first\n")
        call.runtime.shutting_down = True
        return StepExit(code=143)

    runtime = FakeRuntime(killed_by_engine, AlreadyStarted(), succeed, followed=[StepExit(code=143)])
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.NEXT

    done = task_now(database, task.id)
    assert (done.outcome, done.delivery, done.attempts) == (Outcome.COMPLETED, 1, 0)
    assert runtime.removed_steps[0] == task.ref


def test_step_that_was_killed_while_its_worker_was_away_runs_again(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    """A restart of the machine kills both."""
    runtime = FakeRuntime(AlreadyStarted(), succeed, followed=[StepExit(code=255, ended_before_follow=True)])
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.NEXT

    assert (runtime.removed_steps[0], len(runtime.runs)) == (task.ref, 2)
    assert task_now(database, task.id).outcome is Outcome.COMPLETED


def test_step_that_failed_while_its_worker_was_away_has_failed(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    runtime = FakeRuntime(AlreadyStarted(), followed=[StepExit(code=3, ended_before_follow=True)])
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.ADVANCE
    assert task_now(database, task.id).error == "exit code 3"


def test_step_that_was_killed_while_the_engine_answers_has_failed(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    runtime = FakeRuntime(StepExit(code=143))
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.ADVANCE

    assert task_now(database, task.id).error == "exit code 143"
    assert len(runtime.runs) == 1


def test_outage_of_the_engine_duplicates_no_output(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    def interrupted(call: StepCall) -> StepExit:
        call.started()
        call.print("first\nsecond\nthi")
        raise EngineUnavailable("away")

    def complete(call: StepCall) -> StepExit:
        call.print("first\nsecond\nthird\n")
        return StepExit(code=0)

    runtime = FakeRuntime(interrupted, AlreadyStarted(), followed=[complete])
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.NEXT

    assert output_of(database, task.id) == "first\nsecond\nthird\n"
    assert task_now(database, task.id).result == "first\nsecond\nthird\n"
    assert runtime.followed == [task.ref]


def test_worker_that_waits_for_the_engine_can_be_stopped(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    def engine_away(call: StepCall) -> StepExit:
        call.runtime.step_started.set()
        raise EngineUnavailable("away")

    runtime = FakeRuntime(engine_away)
    task = store_task(database)
    worker = make_worker(runtime)

    with running_step(worker, runtime, task.ref) as action:
        worker.detach()
        assert action.result(timeout=20) is ChainAction.IGNORE

    assert task_now(database, task.id).outcome is None


def test_claim_waits_for_the_datastore(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    task = store_task(database)
    database.failures_left = 2

    assert make_worker(FakeRuntime()).run(task.ref) is ChainAction.NEXT
    assert task_now(database, task.id).outcome is Outcome.COMPLETED


def test_outcome_waits_for_the_datastore(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    def program(call: StepCall) -> StepExit:
        call.print("all of it\n")
        database.failures_left = 2
        return StepExit(code=0)

    runtime = FakeRuntime(program)
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.NEXT

    assert task_now(database, task.id).outcome is Outcome.COMPLETED
    assert text_of(database, task.id) == "all of it\n"
    assert len(runtime.runs) == 1


def test_repeated_message_waits_for_the_datastore(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    task = store_task(database)
    worker = make_worker(FakeRuntime())
    worker.run(task.ref)
    database.failures_left = 1

    assert worker.run(task.ref) is ChainAction.NEXT


def test_step_that_another_process_started_is_followed(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    runtime = FakeRuntime(AlreadyStarted(), followed=[StepExit(code=3)])
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.ADVANCE
    assert task_now(database, task.id).error == "exit code 3"


def test_step_that_cannot_be_followed_runs(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    runtime = FakeRuntime(AlreadyStarted(), StepExit(code=0), followed=[None])
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.NEXT
    assert len(runtime.runs) == 2


def test_outcome_counts_after_an_expired_lease_unless_the_task_was_redelivered(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    runtime = FakeRuntime(run_until_finished)
    task = store_task(database)

    with running_step(make_worker(runtime), runtime, task.ref) as action:
        change(database, task_now(database, task.id), lease_until=1.0)

    assert action.result() is ChainAction.NEXT


def test_outcome_with_a_lost_acknowledgement_of_its_commit_counts(
    make_worker: MakeWorker, database: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second attempt finds the step completed, and keeps the volumes that the next step needs."""
    ended = threading.Event()
    committed = database.transaction

    @contextmanager
    def transaction() -> Iterator[Connection]:
        with committed() as tx:
            yield tx
        if ended.is_set():
            ended.clear()
            raise DatastoreUnavailable("the connection was lost after the commit")

    def program(call: StepCall) -> StepExit:
        call.started()
        ended.set()
        return StepExit(code=0)

    task = store_task(database, task_definition(post=1))
    runtime = FakeRuntime(program)
    worker = make_worker(runtime)
    monkeypatch.setattr(database, "transaction", transaction)

    assert worker.run(task.ref) is ChainAction.NEXT
    assert runtime.removed_deliveries == []


def test_step_with_a_timeout_runs_when_the_datastore_is_down_at_its_start(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    def program(call: StepCall) -> StepExit:
        database.failures_left = 1
        call.started()
        return StepExit(code=0)

    task = store_task(database, task_definition(timeout="1h"))
    assert make_worker(FakeRuntime(program)).run(task.ref) is ChainAction.NEXT


def test_step_is_killed_once_the_engine_answers(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    runtime = FakeRuntime(run_until_finished)
    task = store_task(database)
    worker = make_worker(runtime)
    with running_step(worker, runtime, task.ref):
        runtime.away = True
        worker.release()
        assert runtime.killed == []
        runtime.away = False
        eventually(lambda: runtime.killed == [task.ref])


def test_step_survives_an_outage_of_engine_and_datastore_together(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    """A datastore in a container goes down with its engine."""

    def interrupted(call: StepCall) -> StepExit:
        call.started()
        call.print("first\n")
        database.failures_left = 2
        raise EngineUnavailable("away")

    def complete(call: StepCall) -> StepExit:
        call.print("first\nsecond\n")
        return StepExit(code=0)

    runtime = FakeRuntime(interrupted, AlreadyStarted(), followed=[complete])
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.NEXT

    done = task_now(database, task.id)
    assert (done.outcome, done.delivery, done.losses) == (Outcome.COMPLETED, 1, 0)
    assert output_of(database, task.id) == "first\nsecond\n"
