"""An engine that hangs costs its own steps time, and no task of the node its lease."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.domain.samples import task_definition
from tests.eventually import eventually
from tests.store.stores import CuttableDatabase, change, store_task, task_now
from tests.worker.fakes import FakeRuntime, hold
from tests.worker.threads import at_work
from tork_celery.domain.model import StepRef
from tork_celery.domain.node import Node
from tork_celery.domain.states import TaskState
from tork_celery.runtime.protocol import Leftovers
from tork_celery.store import nodes, recovery_queries
from tork_celery.worker.heartbeat import Heartbeat, renew
from tork_celery.worker.worker import Worker

Hire = Callable[[FakeRuntime], Worker]

NODE = Node(name="default@here", instance="1", hostname="here", pid=1, queues=("default",), version="0")
OVER = 1.0


class HangingRuntime(FakeRuntime):
    """Its engine answers nothing until `answers` is set."""

    def __init__(self) -> None:
        super().__init__(hold)
        self.asked = threading.Event()
        self.answers = threading.Event()

    def kill(self, ref: StepRef, *, grace_s: float = 0.0) -> None:
        self._wait()
        super().kill(ref, grace_s=grace_s)

    def leftovers(self) -> Iterable[Leftovers]:
        self._wait()
        return super().leftovers()

    def _wait(self) -> None:
        self.asked.set()
        self.answers.wait()


class NoWatcher:
    def datastore_answered(self, now: float) -> None: ...
    def datastore_was_away(self) -> None: ...


@pytest.fixture
def runtime() -> Iterator[HangingRuntime]:
    runtime = HangingRuntime()
    yield runtime
    runtime.answers.set()


def last_beat_at(database: CuttableDatabase) -> float:
    with database.transaction() as tx:
        found = nodes.get(tx, NODE.name)
    assert found is not None
    return found.heartbeat_at


def test_a_node_beats_on_while_it_waits_to_tidy_up(
    make_worker: Hire, database: CuttableDatabase, runtime: HangingRuntime
) -> None:
    with database.transaction() as tx:
        nodes.register(tx, NODE)
    beating = Heartbeat(
        database, NODE, make_worker(runtime), interval_s=0.001, watcher=NoWatcher(), replaced=lambda: None
    )
    beating.start()
    try:
        assert runtime.asked.wait(20)
        seen = last_beat_at(database)
        eventually(lambda: last_beat_at(database) > seen)
    finally:
        runtime.answers.set()
        beating.stop()


def test_leases_are_renewed_while_a_step_cannot_be_ended(
    make_worker: Hire, database: CuttableDatabase, runtime: HangingRuntime
) -> None:
    task = store_task(database)
    between = {"state": TaskState.RUNNING, "node": NODE.name, "step": 1}
    another = store_task(database, task_definition(post=1), **between)
    worker = make_worker(runtime)

    with ThreadPoolExecutor(1) as beating, at_work(worker, runtime, task.ref):
        change(database, task_now(database, task.id), state=TaskState.CANCELLED)
        first = beating.submit(renew, worker)
        assert runtime.asked.wait(20)
        try:
            first.result(timeout=20)
            change(database, another, lease_until=OVER)
            beating.submit(renew, worker).result(timeout=20)
        finally:
            runtime.answers.set()

    with database.transaction() as tx:
        assert recovery_queries.lost(tx, limit=1) == []
