"""A part of the system that is away for a while costs time, and no attempt."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from tests.domain.samples import task_definition
from tests.eventually import eventually
from tests.store.stores import CuttableDatabase, change, store_task, task_now, text_of
from tests.worker.fakes import Call, FakeRuntime, hold, succeed
from tests.worker.threads import at_work
from tork_celery.domain.errors import DatastoreUnavailable, EngineUnavailable
from tork_celery.domain.states import Outcome
from tork_celery.runtime.protocol import AlreadyStarted, StepExit
from tork_celery.worker.worker import ChainAction, Worker

Hire = Callable[[FakeRuntime], Worker]


def test_an_engine_that_comes_back_runs_the_step(make_worker: Hire, database: CuttableDatabase) -> None:
    runtime = FakeRuntime(EngineUnavailable("away"), EngineUnavailable("still away"), StepExit(code=0))
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.NEXT

    done = task_now(database, task.id)
    assert (done.outcome, done.delivery, done.losses) == (Outcome.COMPLETED, 1, 0)
    assert len(runtime.runs) == 3


def test_a_step_that_an_engine_ended_in_order_to_stop_runs_again(
    make_worker: Hire, database: CuttableDatabase
) -> None:
    def taken_along(call: Call) -> StepExit:
        call.started()
        call.say("first\n")
        call.runtime.leaving = True
        return StepExit(code=143)

    runtime = FakeRuntime(taken_along, AlreadyStarted(), succeed, followed_by=[StepExit(code=143)])
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.NEXT

    done = task_now(database, task.id)
    assert (done.outcome, done.delivery, done.attempts) == (Outcome.COMPLETED, 1, 0)
    assert runtime.removed_steps[0] == task.ref


def test_a_step_that_was_killed_while_no_worker_was_there_runs_again(
    make_worker: Hire, database: CuttableDatabase
) -> None:
    """The whole machine was restarted."""
    runtime = FakeRuntime(
        AlreadyStarted(), succeed, followed_by=[StepExit(code=255, ended_before_follow=True)]
    )
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.NEXT

    assert (runtime.removed_steps[0], len(runtime.runs)) == (task.ref, 2)
    assert task_now(database, task.id).outcome is Outcome.COMPLETED


def test_a_step_that_failed_while_no_worker_was_there_has_failed(
    make_worker: Hire, database: CuttableDatabase
) -> None:
    runtime = FakeRuntime(AlreadyStarted(), followed_by=[StepExit(code=3, ended_before_follow=True)])
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.ADVANCE
    assert task_now(database, task.id).error == "exit code 3"


def test_a_step_that_was_killed_while_the_engine_answers_has_failed(
    make_worker: Hire, database: CuttableDatabase
) -> None:
    runtime = FakeRuntime(StepExit(code=143))
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.ADVANCE

    assert task_now(database, task.id).error == "exit code 143"
    assert len(runtime.runs) == 1


def test_after_an_outage_of_the_engine_no_output_is_there_twice(
    make_worker: Hire, database: CuttableDatabase
) -> None:
    def cut_short(call: Call) -> StepExit:
        call.started()
        call.say("first\nsecond\nthi")
        raise EngineUnavailable("away")

    def whole(call: Call) -> StepExit:
        call.say("first\nsecond\nthird\n")
        return StepExit(code=0)

    runtime = FakeRuntime(cut_short, AlreadyStarted(), followed_by=[whole])
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.NEXT

    assert text_of(database, task.id) == "first\nsecond\nthird\n"
    assert task_now(database, task.id).result == "first\nsecond\nthird\n"
    assert runtime.followed == [task.ref]


def test_a_worker_that_waits_for_the_engine_stops_all_the_same(
    make_worker: Hire, database: CuttableDatabase
) -> None:
    def away(call: Call) -> StepExit:
        call.runtime.at_work.set()
        raise EngineUnavailable("away")

    runtime = FakeRuntime(away)
    task = store_task(database)
    worker = make_worker(runtime)

    with at_work(worker, runtime, task.ref) as verdict:
        worker.detach()
        assert verdict.result(timeout=20) is ChainAction.IGNORE

    assert task_now(database, task.id).outcome is None


def test_a_datastore_that_is_away_when_a_step_begins_is_waited_for(
    make_worker: Hire, database: CuttableDatabase
) -> None:
    task = store_task(database)
    database.outages = 2

    assert make_worker(FakeRuntime()).run(task.ref) is ChainAction.NEXT
    assert task_now(database, task.id).outcome is Outcome.COMPLETED


def test_a_datastore_that_is_away_when_a_step_ends_is_waited_for(
    make_worker: Hire, database: CuttableDatabase
) -> None:
    def act(call: Call) -> StepExit:
        call.say("all of it\n")
        database.outages = 2
        return StepExit(code=0)

    runtime = FakeRuntime(act)
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.NEXT

    assert task_now(database, task.id).outcome is Outcome.COMPLETED
    assert text_of(database, task.id) == "all of it\n"
    assert len(runtime.runs) == 1


def test_a_datastore_that_is_away_while_a_message_is_judged_is_waited_for(
    make_worker: Hire, database: CuttableDatabase
) -> None:
    task = store_task(database)
    worker = make_worker(FakeRuntime())
    worker.run(task.ref)
    database.outages = 1

    assert worker.run(task.ref) is ChainAction.NEXT


def test_a_step_that_another_process_began_is_followed(make_worker: Hire, database: CuttableDatabase) -> None:
    runtime = FakeRuntime(AlreadyStarted(), followed_by=[StepExit(code=3)])
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.ADVANCE
    assert task_now(database, task.id).error == "exit code 3"


def test_a_step_of_which_nothing_is_left_is_run(make_worker: Hire, database: CuttableDatabase) -> None:
    runtime = FakeRuntime(AlreadyStarted(), StepExit(code=0), followed_by=[None])
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.NEXT
    assert len(runtime.runs) == 2


def test_a_task_whose_node_was_away_is_not_lost_when_it_comes_back_in_time(
    make_worker: Hire, database: CuttableDatabase
) -> None:
    """A lease that ran out counts as long as nobody has made use of that."""
    runtime = FakeRuntime(hold)
    task = store_task(database)

    with at_work(make_worker(runtime), runtime, task.ref) as verdict:
        change(database, task_now(database, task.id), lease_until=1.0)

    assert verdict.result() is ChainAction.NEXT


def test_an_outcome_whose_commit_was_not_acknowledged_counts(
    make_worker: Hire, database: CuttableDatabase
) -> None:
    """The second try finds the step done; nothing is released that the next step needs."""
    ended = threading.Event()
    committed = database.transaction

    @contextmanager
    def transaction() -> Iterator[Connection]:
        with committed() as tx:
            yield tx
        if ended.is_set():
            ended.clear()
            raise DatastoreUnavailable("the connection was lost after the commit")

    def act(call: Call) -> StepExit:
        call.started()
        ended.set()
        return StepExit(code=0)

    task = store_task(database, task_definition(post=1))
    runtime = FakeRuntime(act)
    worker = make_worker(runtime)
    database.transaction = transaction  # type: ignore[method-assign]
    assert worker.run(task.ref) is ChainAction.NEXT
    assert runtime.removed_deliveries == []


def test_a_timed_step_goes_on_when_the_datastore_is_away_as_it_starts(
    make_worker: Hire, database: CuttableDatabase
) -> None:
    def act(call: Call) -> StepExit:
        database.outages = 1
        call.started()
        return StepExit(code=0)

    task = store_task(database, task_definition(timeout="1h"))
    assert make_worker(FakeRuntime(act)).run(task.ref) is ChainAction.NEXT


def test_a_step_is_stopped_once_the_engine_answers_again(
    make_worker: Hire, database: CuttableDatabase
) -> None:
    runtime = FakeRuntime(hold)
    task = store_task(database)
    worker = make_worker(runtime)
    with at_work(worker, runtime, task.ref):
        runtime.away = True
        worker.release()
        assert runtime.stopped == []
        runtime.away = False
        eventually(lambda: runtime.stopped == [task.ref])


def test_an_engine_and_a_datastore_that_are_away_together_are_waited_for(
    make_worker: Hire, database: CuttableDatabase
) -> None:
    """A datastore in a container goes with its engine."""

    def both_go(call: Call) -> StepExit:
        call.started()
        call.say("first\n")
        database.outages = 2
        raise EngineUnavailable("away")

    def whole(call: Call) -> StepExit:
        call.say("first\nsecond\n")
        return StepExit(code=0)

    runtime = FakeRuntime(both_go, AlreadyStarted(), followed_by=[whole])
    task = store_task(database)

    assert make_worker(runtime).run(task.ref) is ChainAction.NEXT

    done = task_now(database, task.id)
    assert (done.outcome, done.delivery, done.losses) == (Outcome.COMPLETED, 1, 0)
    assert text_of(database, task.id) == "first\nsecond\n"
