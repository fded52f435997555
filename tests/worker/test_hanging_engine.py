"""An engine that hangs delays its own steps, but no heartbeat and no lease."""

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.domain.samples import task_definition
from tests.store.stores import FlakyDatabase, change, store_task, task_now
from tests.worker.fakes import NODE, FakeRuntime, MakeWorker, run_until_finished, running_step
from tork_celery.domain.model import StepRef
from tork_celery.domain.states import TaskState
from tork_celery.runtime.protocol import Leftovers
from tork_celery.store import recovery_queries

EXPIRED = 1.0


class HangingRuntime(FakeRuntime):
    """Calls of its engine block until `release` is set."""

    def __init__(self) -> None:
        super().__init__(run_until_finished)
        self.called = threading.Event()
        self.release = threading.Event()

    def kill(self, ref: StepRef, *, grace_s: float = 0.0) -> None:
        self._hang()
        super().kill(ref, grace_s=grace_s)

    def leftovers(self) -> Iterable[Leftovers]:
        self._hang()
        return super().leftovers()

    def _hang(self) -> None:
        self.called.set()
        self.release.wait()


@pytest.fixture
def runtime() -> Iterator[HangingRuntime]:
    runtime = HangingRuntime()
    yield runtime
    runtime.release.set()


def is_lease_expired(database: FlakyDatabase) -> bool:
    with database.transaction() as tx:
        return bool(recovery_queries.lost(tx, limit=1))


def test_leases_are_renewed_while_the_removal_of_leftovers_hangs(
    make_worker: MakeWorker, database: FlakyDatabase, runtime: HangingRuntime
) -> None:
    between_steps = {"state": TaskState.RUNNING, "node": NODE, "step": 1}
    store_task(database, task_definition(post=1), **between_steps, lease_until=EXPIRED)
    worker = make_worker(runtime, cleanup_interval_s=0.001)
    assert runtime.called.wait(20)

    with ThreadPoolExecutor(1) as heartbeat:
        heartbeat.submit(worker.renew_leases).result(timeout=20)

    assert not is_lease_expired(database)
    runtime.release.set()


def test_leases_are_renewed_while_a_kill_hangs(
    make_worker: MakeWorker, database: FlakyDatabase, runtime: HangingRuntime
) -> None:
    task = store_task(database)
    between_steps = {"state": TaskState.RUNNING, "node": NODE, "step": 1}
    another = store_task(database, task_definition(post=1), **between_steps)
    worker = make_worker(runtime)

    with ThreadPoolExecutor(1) as heartbeat, running_step(worker, runtime, task.ref):
        change(database, task_now(database, task.id), state=TaskState.CANCELLED)
        first = heartbeat.submit(worker.renew_leases)
        assert runtime.called.wait(20)
        try:
            first.result(timeout=20)
            change(database, another, lease_until=EXPIRED)
            heartbeat.submit(worker.renew_leases).result(timeout=20)
        finally:
            runtime.release.set()

    assert not is_lease_expired(database)
