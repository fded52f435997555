"""A message may be late, doubled or for somebody else: what becomes of it follows from what is stored."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.domain.samples import task_definition
from tests.services.fakes import FakeDispatcher
from tests.store.stores import CuttableDatabase, change, store_task, task_now, text_of
from tests.worker.fakes import Call, FakeRuntime, hold
from tests.worker.threads import at_work
from tork_celery.domain.model import StepRef
from tork_celery.domain.states import Outcome, TaskState
from tork_celery.runtime.protocol import StepExit
from tork_celery.worker.worker import ChainAction, Worker

Hire = Callable[[FakeRuntime], Worker]

NODE, OTHER = "default@here", "default@there"
BETWEEN: dict[str, Any] = {"state": TaskState.RUNNING, "node": NODE, "step": 1, "delivery": 2}


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        pytest.param({"step_running": True}, ChainAction.IGNORE, id="it runs"),
        pytest.param({"node": OTHER}, ChainAction.IGNORE, id="another node has it"),
        pytest.param({"delivery": 3}, ChainAction.IGNORE, id="it was delivered again"),
        pytest.param({"step": 0}, ChainAction.IGNORE, id="its turn has not come"),
        pytest.param({"step": 2}, ChainAction.NEXT, id="it is done"),
        pytest.param({"step": 3, "outcome": Outcome.COMPLETED}, ChainAction.NEXT, id="all is done"),
        pytest.param({"outcome": Outcome.FAILED}, ChainAction.ADVANCE, id="it failed"),
        pytest.param(
            {"outcome": Outcome.FAILED, "state": TaskState.FAILED},
            ChainAction.ADVANCE,
            id="its task has failed",
        ),
        pytest.param({"state": TaskState.CANCELLED}, ChainAction.IGNORE, id="its task was cancelled"),
    ],
)
def test_a_step_that_is_not_to_be_had_is_not_run(
    make_worker: Hire, database: CuttableDatabase, values: dict[str, Any], verdict: ChainAction
) -> None:
    runtime = FakeRuntime()
    task = store_task(database, task_definition(pre=1, post=1), **BETWEEN | values)

    assert make_worker(runtime).run(StepRef(task_id=task.id, delivery=2, step=1)) is verdict

    assert runtime.runs == []
    assert task_now(database, task.id) == task


def test_a_message_of_a_task_that_is_not_there_is_ignored(make_worker: Hire) -> None:
    assert make_worker(FakeRuntime()).run(StepRef(task_id="none", delivery=1, step=0)) is ChainAction.IGNORE


def test_a_message_that_comes_twice_is_run_once(make_worker: Hire, database: CuttableDatabase) -> None:
    runtime = FakeRuntime(hold)
    task = store_task(database)
    worker = make_worker(runtime)

    with at_work(worker, runtime, task.ref) as verdict:
        assert worker.run(task.ref) is ChainAction.IGNORE

    assert verdict.result() is ChainAction.NEXT
    assert worker.run(task.ref) is ChainAction.NEXT
    assert len(runtime.runs) == 1


def test_the_late_result_of_a_superseded_delivery_is_turned_away(
    make_worker: Hire, database: CuttableDatabase
) -> None:
    runtime = FakeRuntime(hold)
    task = store_task(database)

    with at_work(make_worker(runtime), runtime, task.ref) as verdict:
        current = change(database, task_now(database, task.id), delivery=2, node=OTHER)

    assert verdict.result() is ChainAction.IGNORE
    assert task_now(database, task.id) == current
    assert (runtime.removed_steps, runtime.removed_deliveries) == ([task.ref], [(task.id, 1)])


def test_the_output_of_a_superseded_delivery_is_dropped(
    make_worker: Hire, database: CuttableDatabase
) -> None:
    def act(call: Call) -> StepExit:
        exit_ = hold(call)
        call.say("too late\n")
        return exit_

    runtime = FakeRuntime(act)
    task = store_task(database)

    with at_work(make_worker(runtime), runtime, task.ref):
        change(database, task_now(database, task.id), delivery=2, node=OTHER)

    assert text_of(database, task.id) == ""


def test_a_worker_that_stops_takes_no_more_steps(
    make_worker: Hire, database: CuttableDatabase, dispatcher: FakeDispatcher
) -> None:
    runtime = FakeRuntime()
    task = store_task(database)
    worker = make_worker(runtime)
    worker.detach()

    assert worker.run(task.ref) is ChainAction.REQUEUE

    assert task_now(database, task.id) == task
    assert (runtime.runs, dispatcher.sent) == ([], [])
