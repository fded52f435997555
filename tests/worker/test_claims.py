"""A message may be late, repeated or meant for another node: the stored task decides what it does."""

from typing import Any

import pytest

from tests.domain.samples import task_definition
from tests.eventually import eventually
from tests.services.fakes import FakeDispatcher
from tests.store.stores import FlakyDatabase, change, store_task, task_now, text_of
from tests.worker.fakes import NODE, FakeRuntime, MakeWorker, StepCall, run_until_finished, running_step
from tork_celery.domain.model import StepRef
from tork_celery.domain.states import Outcome, TaskState
from tork_celery.runtime.protocol import StepExit
from tork_celery.store.publishing_window import SMALLEST_WINDOW
from tork_celery.worker.worker import ChainAction

OTHER = "default@there"
BETWEEN_STEPS: dict[str, Any] = {"state": TaskState.RUNNING, "node": NODE, "step": 1, "delivery": 2}


@pytest.mark.parametrize(
    ("values", "action"),
    [
        pytest.param({"step_running": True}, ChainAction.IGNORE, id="the step runs"),
        pytest.param({"node": OTHER}, ChainAction.IGNORE, id="another node has the task"),
        pytest.param({"delivery": 3}, ChainAction.IGNORE, id="the task was redelivered"),
        pytest.param({"step": 0}, ChainAction.IGNORE, id="an earlier step is due"),
        pytest.param({"step": 2}, ChainAction.NEXT, id="the step is done"),
        pytest.param({"step": 3, "outcome": Outcome.COMPLETED}, ChainAction.NEXT, id="all steps are done"),
        pytest.param({"outcome": Outcome.FAILED}, ChainAction.ADVANCE, id="the step failed"),
        pytest.param(
            {"outcome": Outcome.FAILED, "state": TaskState.FAILED},
            ChainAction.ADVANCE,
            id="the task failed",
        ),
        pytest.param({"state": TaskState.CANCELLED}, ChainAction.IGNORE, id="the task was cancelled"),
    ],
)
def test_step_that_cannot_be_claimed_does_not_run(
    make_worker: MakeWorker, database: FlakyDatabase, values: dict[str, Any], action: ChainAction
) -> None:
    runtime = FakeRuntime()
    task = store_task(database, task_definition(pre=1, post=1), **BETWEEN_STEPS | values)

    assert make_worker(runtime).run(StepRef(task_id=task.id, delivery=2, step=1)) is action

    assert runtime.runs == []
    assert task_now(database, task.id) == task


def test_message_of_an_unknown_task_is_ignored(make_worker: MakeWorker) -> None:
    ref = StepRef(task_id="none", delivery=1, step=0)

    assert make_worker(FakeRuntime()).run(ref) is ChainAction.IGNORE


def test_repeated_message_runs_its_step_once(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    runtime = FakeRuntime(run_until_finished)
    task = store_task(database)
    worker = make_worker(runtime)

    with running_step(worker, runtime, task.ref) as action:
        assert worker.run(task.ref) is ChainAction.IGNORE

    assert action.result() is ChainAction.NEXT
    assert worker.run(task.ref) is ChainAction.NEXT
    assert len(runtime.runs) == 1


def test_late_result_of_a_superseded_delivery_is_rejected(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    runtime = FakeRuntime(run_until_finished)
    task = store_task(database)

    with running_step(make_worker(runtime), runtime, task.ref) as action:
        current = change(database, task_now(database, task.id), delivery=2, node=OTHER)

    assert action.result() is ChainAction.IGNORE
    assert task_now(database, task.id) == current
    assert (runtime.removed_steps, runtime.removed_deliveries) == ([task.ref], [(task.id, 1)])


def test_output_of_a_superseded_delivery_is_dropped(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    def program(call: StepCall) -> StepExit:
        exit_ = run_until_finished(call)
        call.print("too late\n")
        return exit_

    runtime = FakeRuntime(program)
    task = store_task(database)

    with running_step(make_worker(runtime), runtime, task.ref):
        change(database, task_now(database, task.id), delivery=2, node=OTHER)

    assert text_of(database, task.id) == ""


def test_stopping_worker_returns_messages_to_their_queue(
    make_worker: MakeWorker, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    runtime = FakeRuntime()
    task = store_task(database)
    worker = make_worker(runtime)
    worker.detach()

    assert worker.run(task.ref) is ChainAction.REQUEUE

    assert task_now(database, task.id) == task
    assert (runtime.runs, dispatcher.sent) == ([], [])


def test_claim_sends_the_next_task_of_the_queue(
    make_worker: MakeWorker, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    claimed, *_ = [
        store_task(database, job_created_at=float(number), sent_at=1.0) for number in range(SMALLEST_WINDOW)
    ]
    following = [store_task(database, job_created_at=10.0 + number) for number in range(2)]

    make_worker(FakeRuntime()).run(claimed.ref)

    eventually(lambda: dispatcher.sent_ids == [following[0].id])
    assert task_now(database, following[1].id).sent_at is None


def test_next_steps_send_nothing(
    make_worker: MakeWorker, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    store_task(database)
    started = store_task(database, task_definition(post=1), **BETWEEN_STEPS)
    worker = make_worker(FakeRuntime())

    worker.run(StepRef(task_id=started.id, delivery=2, step=1))
    worker.close()

    assert dispatcher.sent == []
