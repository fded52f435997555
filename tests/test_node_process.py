"""A node process renews leases, sweeps, and treats its running steps as the shutdown policy says."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.domain.samples import task_definition
from tests.eventually import eventually
from tests.services.fakes import FakeDispatcher
from tests.store.stores import FlakyDatabase, database, seconds_now, store_task, task_now
from tests.worker.conftest import dispatcher, make_worker
from tests.worker.fakes import NODE, FakeRuntime, MakeWorker, run_until_finished, running_step
from tork_celery.domain.errors import DatastoreUnavailable, EngineUnavailable
from tork_celery.domain.node import Node
from tork_celery.domain.states import Outcome, TaskState
from tork_celery.node_process import NodeProcess
from tork_celery.runtime.protocol import Leftovers
from tork_celery.services.context import ServiceContext
from tork_celery.settings import ShutdownPolicy
from tork_celery.store import nodes
from tork_celery.worker.disk_guard import DiskLimits
from tork_celery.worker.worker import ChainAction, Worker

pytestmark = pytest.mark.slow  # most of these wait for several heartbeats

__all__ = ["database", "dispatcher", "make_worker"]

EXPIRED = 1.0
BETWEEN_STEPS: dict[str, Any] = {"state": TaskState.RUNNING, "node": NODE, "step": 1}

RunProcess = Callable[..., AbstractContextManager[NodeProcess]]


@pytest.fixture
def terminated() -> threading.Event:
    return threading.Event()


@pytest.fixture
def run_process(
    database: FlakyDatabase, dispatcher: FakeDispatcher, terminated: threading.Event
) -> RunProcess:
    """Run a process of the node NODE while the context lasts."""

    @contextmanager
    def run(
        worker: Worker | None = None, *, coordinates: bool = False, queues: tuple[str, ...] = ("default",)
    ) -> Iterator[NodeProcess]:
        node = replace(make_node("1"), queues=queues)
        with database.transaction() as tx:
            nodes.register(tx, node)
        process = NodeProcess(
            ServiceContext(database=database, dispatcher=dispatcher, lease_s=0.1),
            node,
            worker=worker,
            coordinates=coordinates,
            heartbeat_s=0.01,
            terminate=terminated.set,
        )
        process.start()
        try:
            yield process
        finally:
            process.stop()

    return run


def make_node(instance: str) -> Node:
    return Node(name=NODE, instance=instance, hostname="here", pid=1, queues=("default",), version="0")


def stored_node(database: FlakyDatabase) -> Node:
    with database.transaction() as tx:
        node = nodes.get(tx, NODE)
    assert node is not None
    return node


def test_start_waits_for_datastore_and_engine(run_process: RunProcess, make_worker: MakeWorker) -> None:
    failures = [EngineUnavailable("away"), DatastoreUnavailable("away")]

    class Starting(FakeRuntime):
        def leftovers(self) -> Iterable[Leftovers]:
            if failures:
                raise failures.pop(0)
            return super().leftovers()

    with capture_logs() as records, run_process(make_worker(Starting(), start=False)):
        assert failures == []

    parts = [(each["event"], each["part"]) for each in records if each["event"].startswith("outage.")]
    assert sorted(parts) == [
        ("outage.ended", "datastore"),
        ("outage.ended", "engine"),
        ("outage.started", "datastore"),
        ("outage.started", "engine"),
    ]


def test_worker_recovers_tasks_and_renews_leases(
    run_process: RunProcess,
    make_worker: MakeWorker,
    database: FlakyDatabase,
    dispatcher: FakeDispatcher,
) -> None:
    task = store_task(database, task_definition(post=1), **BETWEEN_STEPS, lease_until=EXPIRED)
    runtime = FakeRuntime()

    with run_process(make_worker(runtime, start=False)):
        assert dispatcher.sent_ids == [task.id]
        recovered_until = task_now(database, task.id).lease_until or 0.0
        assert recovered_until > seconds_now(database)
        eventually(lambda: (task_now(database, task.id).lease_until or 0.0) > recovered_until)

    assert runtime.closed
    assert stored_node(database).stopped_at is not None


def test_worker_on_a_full_disk_serves_no_queue_of_tasks(
    run_process: RunProcess, make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    full = DiskLimits(floor_bytes=2**62)
    with run_process(
        make_worker(FakeRuntime(), disk_limits=full, start=False), queues=("default", "control")
    ):
        eventually(lambda: stored_node(database).queues == ("control",))

    with run_process(make_worker(FakeRuntime(), start=False), queues=("default", "control")):
        eventually(lambda: stored_node(database).queues == ("default", "control"))


def test_coordinator_redelivers_lost_tasks(
    run_process: RunProcess, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    task = store_task(database, state=TaskState.RUNNING, node="lost", step_running=True, lease_until=EXPIRED)

    with run_process(coordinates=True):
        eventually(lambda: dispatcher.sent_ids == [task.id])

    assert task_now(database, task.id).losses == 1


def test_replaced_process_detaches_its_steps_and_terminates(
    run_process: RunProcess,
    make_worker: MakeWorker,
    database: FlakyDatabase,
    terminated: threading.Event,
) -> None:
    runtime = FakeRuntime(run_until_finished)
    task = store_task(database)
    worker = make_worker(runtime, start=False)

    with run_process(worker), running_step(worker, runtime, task.ref) as action:
        with database.transaction() as tx:
            nodes.register(tx, make_node("2"))
        assert terminated.wait(20)
        assert action.result(timeout=20) is ChainAction.IGNORE

    assert worker.run(store_task(database).ref) is ChainAction.REQUEUE
    assert (runtime.killed, runtime.removed_deliveries) == ([], [])
    stored = stored_node(database)
    assert (stored.instance, stored.stopped_at) == ("2", None)


def test_shutdown_detaches_steps_with_extended_leases(
    run_process: RunProcess, make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    runtime = FakeRuntime(run_until_finished)
    task = store_task(database)
    worker = make_worker(runtime, start=False)

    with run_process(worker) as process, running_step(worker, runtime, task.ref) as action:
        process.shut_down(ShutdownPolicy())
        assert action.result(timeout=20) is ChainAction.IGNORE

    detached = task_now(database, task.id)
    assert detached.state is TaskState.RUNNING
    assert (detached.lease_until or 0.0) - seconds_now(database) == pytest.approx(60.0, abs=20)


def test_shutdown_detaches_steps_while_the_datastore_is_down(
    run_process: RunProcess, make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    runtime = FakeRuntime(run_until_finished)
    task = store_task(database)
    worker = make_worker(runtime, start=False)

    with run_process(worker) as process, running_step(worker, runtime, task.ref) as action:
        database.down = True
        process.shut_down(ShutdownPolicy())
        assert action.result(timeout=20) is ChainAction.IGNORE

    database.down = False
    assert task_now(database, task.id).state is TaskState.RUNNING


def test_shutdown_releases_tasks_by_policy(
    run_process: RunProcess, make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    runtime = FakeRuntime(run_until_finished)
    task = store_task(database)
    worker = make_worker(runtime, start=False)

    with run_process(worker) as process, running_step(worker, runtime, task.ref) as action:
        process.shut_down(ShutdownPolicy(release=True))
        assert action.result(timeout=20) is ChainAction.IGNORE

    assert task_now(database, task.id).state is TaskState.SCHEDULED


def test_shutdown_waits_for_steps_by_policy(
    run_process: RunProcess, make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    runtime = FakeRuntime(run_until_finished)
    task = store_task(database)
    worker = make_worker(runtime, start=False)

    with run_process(worker) as process, running_step(worker, runtime, task.ref) as action:
        shutdown = threading.Thread(target=process.shut_down, args=(ShutdownPolicy(wait_s=20.0),))
        shutdown.start()
        eventually(lambda: worker.run(store_task(database).ref) is ChainAction.REQUEUE)
        runtime.finish(task.ref)
        assert action.result(timeout=20) is ChainAction.NEXT
        shutdown.join()

    assert task_now(database, task.id).outcome is Outcome.COMPLETED


def test_shutdown_of_a_coordinator_has_no_steps(run_process: RunProcess) -> None:
    with run_process(coordinates=True) as process:
        process.shut_down(ShutdownPolicy())
