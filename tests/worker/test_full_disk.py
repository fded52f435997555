"""A worker on a full disk: it frees space before it needs some, and leaves new tasks to other workers."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.domain.samples import task_definition
from tests.eventually import eventually
from tests.store.stores import FlakyDatabase, store_task, task_now
from tests.worker.fakes import NODE, FakeRuntime, MakeWorker, run_until_finished, running_step, succeed
from tork_celery.domain.definition import Sidecar
from tork_celery.domain.errors import DatastoreFull
from tork_celery.domain.model import StepRef
from tork_celery.domain.states import Outcome, TaskState
from tork_celery.runtime.protocol import AlreadyStarted, Leftovers
from tork_celery.store import claims
from tork_celery.worker.disk_guard import DiskLimits
from tork_celery.worker.worker import ChainAction

NO_ROOM = DiskLimits(floor_bytes=2**62)
GIB = 2**30


class FreeingRuntime(FakeRuntime):
    """Calls `on_free` when the space of a step is freed, and when a step is removed."""

    def __init__(self, on_free: Callable[[], None]) -> None:
        super().__init__()
        self._on_free = on_free

    def free_space(self, ref: StepRef) -> None:
        super().free_space(ref)
        self._on_free()

    def remove_step(self, ref: StepRef) -> None:
        super().remove_step(ref)
        self._on_free()


def test_space_is_freed_before_the_outcome_is_stored(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    task = store_task(database)
    outcomes: list[Outcome | None] = []
    runtime = FreeingRuntime(lambda: outcomes.append(task_now(database, task.id).outcome))

    make_worker(runtime).run(task.ref)

    assert runtime.freed == runtime.removed_steps == [task.ref]
    assert outcomes == [None, Outcome.COMPLETED]


def test_sidecars_are_removed_before_the_outcome_is_stored(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    """They have no outcome, and may have filled the disk as well."""
    task = store_task(database, task_definition(sidecars=(Sidecar(name="db", image="db"),)))
    outcomes: list[Outcome | None] = []
    runtime = FreeingRuntime(lambda: outcomes.append(task_now(database, task.id).outcome))

    make_worker(runtime).run(task.ref)

    sidecar = StepRef(task_id=task.id, delivery=1, step=1)
    assert runtime.removed_steps[0] == sidecar
    assert outcomes[0] is None


def test_containers_are_removed_if_the_outcome_does_not_fit_on_the_disk(
    make_worker: MakeWorker, database: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they wrote may be what fills it."""
    task = store_task(database)
    runtime = FakeRuntime()
    really_complete = claims.complete_step

    def complete_with_room(*arguments: Any, **options: Any) -> bool:
        if not runtime.removed_steps:
            raise DatastoreFull("the disk of the datastore is full")
        return really_complete(*arguments, **options)

    monkeypatch.setattr(claims, "complete_step", complete_with_room)

    assert make_worker(runtime).run(task.ref) is ChainAction.NEXT
    assert task_now(database, task.id).outcome is Outcome.COMPLETED


@pytest.mark.slow
def test_new_task_goes_back_to_its_queue_while_the_disk_is_low(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    task = store_task(database)
    runtime = FakeRuntime()
    worker = make_worker(runtime, disk_limits=NO_ROOM)

    assert not worker.has_room
    assert worker.run(task.ref) is ChainAction.REQUEUE
    assert (runtime.runs, task_now(database, task.id)) == ([], task)


def test_later_step_of_a_task_runs_while_the_disk_is_low(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    """The task holds space that only its end frees."""
    between: dict[str, Any] = {"state": TaskState.RUNNING, "node": NODE, "step_running": False, "step": 1}
    task = store_task(database, task_definition(pre=1), **between)

    assert make_worker(FakeRuntime(), disk_limits=NO_ROOM).run(task.ref) is ChainAction.NEXT
    assert task_now(database, task.id).outcome is Outcome.COMPLETED


def test_step_is_adopted_while_the_disk_is_low(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    running: dict[str, Any] = {"state": TaskState.RUNNING, "node": NODE, "step_running": True}
    task = store_task(database, **running)
    runtime = FakeRuntime(AlreadyStarted(), followed=(succeed,))
    worker = make_worker(runtime, disk_limits=NO_ROOM)
    worker.recover()

    assert worker.run(task.ref) is ChainAction.NEXT
    assert runtime.followed == [task.ref]


@pytest.mark.slow
def test_step_that_fills_the_disk_fails_with_the_reason(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    task = store_task(database)
    runtime = FakeRuntime(run_until_finished)
    worker = make_worker(runtime, disk_limits=DiskLimits(step_bytes=GIB))

    with running_step(worker, runtime, task.ref) as action:
        runtime.used = {(task.id, 1): GIB + 1}
        assert eventually(lambda: action.done() and action.result()) is ChainAction.ADVANCE

    failed = task_now(database, task.id)
    assert failed.outcome is Outcome.FAILED
    assert failed.error is not None
    assert failed.error.startswith("uses more than 1g of disk space for its output and its work directory")
    assert runtime.graces_s == [0.0]


def test_start_frees_space_without_writing_to_the_datastore(
    make_worker: MakeWorker, database: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = FakeRuntime()
    runtime.left_on_host = [Leftovers(NODE, "ended", 1)]
    worker = make_worker(runtime, start=False)

    def refuse() -> None:
        raise AssertionError("a transaction was opened")

    monkeypatch.setattr(database, "transaction", refuse)
    worker.free_disk_space()

    assert runtime.ended_freed
    assert runtime.removed_deliveries == [("ended", 1)]
    monkeypatch.undo()
    worker.start()
