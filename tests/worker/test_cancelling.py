"""A cancelled step has the time that it was promised to end, and no more than the worker has."""

from collections.abc import Callable

from tests.store.stores import CuttableDatabase, change, store_task, task_now
from tests.worker.fakes import FakeRuntime, hold
from tests.worker.threads import at_work
from tork_celery.domain.model import StepRef
from tork_celery.domain.states import TaskState
from tork_celery.runtime.protocol import Leftovers
from tork_celery.worker.recovery import remove_leftovers
from tork_celery.worker.worker import ChainAction, Worker

Hire = Callable[[FakeRuntime], Worker]

NODE = "default@here"


class StubbornRuntime(FakeRuntime):
    """Its steps do not listen to TERM."""

    def kill(self, ref: StepRef, *, grace_s: float = 0.0) -> None:
        if grace_s:
            self.left_here.append(Leftovers(NODE, ref.task_id, ref.delivery))
        else:
            super().kill(ref)


def cancel(database: CuttableDatabase, worker: Worker, task_id: str) -> None:
    change(database, task_now(database, task_id), state=TaskState.CANCELLED)
    worker.kill(task_id, 1)


def test_a_cancelled_step_is_not_removed_before_its_time_is_over(
    make_worker: Hire, database: CuttableDatabase
) -> None:
    runtime = StubbornRuntime(hold)
    task = store_task(database)
    worker = make_worker(runtime)

    with at_work(worker, runtime, task.ref) as verdict:
        cancel(database, worker, task.id)
        runtime.left_here = [Leftovers(NODE, task.id, 1), Leftovers(NODE, "another", 1)]
        remove_leftovers(worker)
        assert runtime.removed_deliveries == [("another", 1)]
        runtime.finish(task.ref)
        assert verdict.result(timeout=20) is ChainAction.IGNORE

    assert (task.id, 1) in runtime.removed_deliveries


def test_a_cancelled_step_does_not_outlive_its_worker(make_worker: Hire, database: CuttableDatabase) -> None:
    runtime = StubbornRuntime(hold)
    task, another = store_task(database), store_task(database)
    worker = make_worker(runtime)

    with at_work(worker, runtime, another.ref):
        runtime.at_work.clear()
        with at_work(worker, runtime, task.ref) as verdict:
            cancel(database, worker, task.id)
            worker.detach()
            assert verdict.result(timeout=20) is ChainAction.IGNORE

    assert runtime.stopped == [task.ref]
