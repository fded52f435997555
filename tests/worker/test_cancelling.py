"""A cancelled step has its grace period to end, but does not outlive its worker."""

import pytest

from tests.eventually import eventually
from tests.store.stores import FlakyDatabase, change, store_task, task_now
from tests.worker.fakes import NODE, FakeRuntime, MakeWorker, run_until_finished, running_step
from tork_celery.domain.model import StepRef
from tork_celery.domain.states import TaskState
from tork_celery.runtime.protocol import Leftovers
from tork_celery.worker.worker import ChainAction, Worker


class TermIgnoringRuntime(FakeRuntime):
    """Its steps end by KILL only."""

    def kill(self, ref: StepRef, *, grace_s: float = 0.0) -> None:
        if grace_s:
            self.graces_s.append(grace_s)
            self.left_on_host.append(Leftovers(NODE, ref.task_id, ref.delivery))
        else:
            super().kill(ref)


def cancel(database: FlakyDatabase, worker: Worker, task_id: str) -> None:
    change(database, task_now(database, task_id), state=TaskState.CANCELLED)
    worker.kill(task_id, 1)


def test_cancelled_step_is_not_removed_within_its_grace_period(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    runtime = TermIgnoringRuntime(run_until_finished)
    task = store_task(database)
    worker = make_worker(runtime, cleanup_interval_s=0.001)

    with running_step(worker, runtime, task.ref) as action:
        cancel(database, worker, task.id)
        eventually(lambda: runtime.graces_s)
        runtime.left_on_host.append(Leftovers(NODE, "another", 1))
        eventually(lambda: runtime.removed_deliveries)
        assert set(runtime.removed_deliveries) == {("another", 1)}
        runtime.finish(task.ref)
        assert action.result(timeout=20) is ChainAction.IGNORE

    assert (task.id, 1) in runtime.removed_deliveries


def test_cancelled_step_does_not_outlive_its_worker(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    runtime = TermIgnoringRuntime(run_until_finished)
    task, another = store_task(database), store_task(database)
    worker = make_worker(runtime)

    with running_step(worker, runtime, another.ref):
        runtime.step_started.clear()
        with running_step(worker, runtime, task.ref) as action:
            cancel(database, worker, task.id)
            worker.detach()
            assert action.result(timeout=20) is ChainAction.IGNORE

    assert runtime.killed == [task.ref]


@pytest.mark.parametrize("state", [TaskState.CANCELLED, TaskState.STOPPED])
def test_step_is_killed_with_the_grace_period_even_if_the_datastore_is_down(
    make_worker: MakeWorker, database: FlakyDatabase, state: TaskState
) -> None:
    runtime = FakeRuntime(run_until_finished)
    task = store_task(database)
    worker = make_worker(runtime)

    with running_step(worker, runtime, task.ref) as action:
        change(database, task_now(database, task.id), state=state)
        database.failures_left = 1
        worker.kill(task.id, 1)
        assert action.result(timeout=20) is ChainAction.IGNORE

    assert (runtime.killed, runtime.graces_s) == ([task.ref], [3.0])


def test_kill_of_another_delivery_is_ignored(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    runtime = FakeRuntime(run_until_finished)
    task = store_task(database)
    worker = make_worker(runtime)

    with running_step(worker, runtime, task.ref) as action:
        worker.kill(task.id, 2)
        worker.kill("another", 1)
        runtime.finish(task.ref)
        assert action.result(timeout=20) is ChainAction.NEXT

    assert runtime.killed == []
