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
from tork_celery.worker.worker import Verdict, Worker

Hire = Callable[[FakeRuntime], Worker]

NODE, OTHER = "default@here", "default@there"
BETWEEN: dict[str, Any] = {"state": TaskState.RUNNING, "node": NODE, "step": 1, "delivery": 2}


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        pytest.param({"step_running": True}, Verdict.IGNORE, id="it runs"),
        pytest.param({"node": OTHER}, Verdict.IGNORE, id="another node has it"),
        pytest.param({"delivery": 3}, Verdict.IGNORE, id="it was delivered again"),
        pytest.param({"step": 0}, Verdict.IGNORE, id="its turn has not come"),
        pytest.param({"step": 2}, Verdict.NEXT, id="it is done"),
        pytest.param({"step": 3, "outcome": Outcome.COMPLETED}, Verdict.NEXT, id="all is done"),
        pytest.param({"outcome": Outcome.FAILED}, Verdict.ADVANCE, id="it failed"),
        pytest.param(
            {"outcome": Outcome.FAILED, "state": TaskState.FAILED}, Verdict.ADVANCE, id="its task has failed"
        ),
        pytest.param({"state": TaskState.CANCELLED}, Verdict.IGNORE, id="its task was cancelled"),
    ],
)
def test_a_step_that_is_not_to_be_had_is_not_run(
    hire: Hire, database: CuttableDatabase, values: dict[str, Any], verdict: Verdict
) -> None:
    runtime = FakeRuntime()
    task = store_task(database, task_definition(pre=1, post=1), **BETWEEN | values)

    assert hire(runtime).run(StepRef(task_id=task.id, delivery=2, step=1)) is verdict

    assert runtime.runs == []
    assert task_now(database, task.id) == task


def test_a_message_of_a_task_that_is_not_there_is_ignored(hire: Hire) -> None:
    assert hire(FakeRuntime()).run(StepRef(task_id="none", delivery=1, step=0)) is Verdict.IGNORE


def test_a_message_that_comes_twice_is_run_once(hire: Hire, database: CuttableDatabase) -> None:
    runtime = FakeRuntime(hold)
    task = store_task(database)
    worker = hire(runtime)

    with at_work(worker, runtime, task.ref) as verdict:
        assert worker.run(task.ref) is Verdict.IGNORE

    assert verdict.result() is Verdict.NEXT
    assert worker.run(task.ref) is Verdict.NEXT
    assert len(runtime.runs) == 1


def test_the_late_result_of_a_superseded_delivery_is_turned_away(
    hire: Hire, database: CuttableDatabase
) -> None:
    runtime = FakeRuntime(hold)
    task = store_task(database)

    with at_work(hire(runtime), runtime, task.ref) as verdict:
        current = change(database, task_now(database, task.id), delivery=2, node=OTHER)

    assert verdict.result() is Verdict.IGNORE
    assert task_now(database, task.id) == current
    assert (runtime.discarded, runtime.released) == ([task.ref], [(task.id, 1)])


def test_the_output_of_a_superseded_delivery_is_dropped(hire: Hire, database: CuttableDatabase) -> None:
    def act(call: Call) -> StepExit:
        exit_ = hold(call)
        call.say("too late\n")
        return exit_

    runtime = FakeRuntime(act)
    task = store_task(database)

    with at_work(hire(runtime), runtime, task.ref):
        change(database, task_now(database, task.id), delivery=2, node=OTHER)

    assert text_of(database, task.id) == ""


def test_a_worker_that_stops_takes_no_more_steps(
    hire: Hire, database: CuttableDatabase, dispatcher: FakeDispatcher
) -> None:
    runtime = FakeRuntime()
    task = store_task(database)
    worker = hire(runtime)
    worker.stop(release=False)

    assert worker.run(task.ref) is Verdict.REQUEUE

    assert task_now(database, task.id) == task
    assert (runtime.runs, dispatcher.sent) == ([], [])
