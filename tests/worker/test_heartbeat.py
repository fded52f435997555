"""A heartbeat keeps what is the worker's own, and ends what is not."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.domain.samples import task_definition
from tests.eventually import eventually
from tests.services.fakes import FakeDispatcher
from tests.store.stores import CuttableDatabase, change, store_task, task_now
from tests.worker.fakes import FakeRuntime, hold
from tests.worker.threads import at_work
from tork_celery.domain.errors import DatastoreUnavailable
from tork_celery.domain.node import Node
from tork_celery.domain.states import Outcome, TaskState
from tork_celery.runtime.protocol import Leftovers
from tork_celery.store import nodes, recovery_queries
from tork_celery.worker import recovery
from tork_celery.worker.heartbeat import Heartbeat, cpu_percent, renew
from tork_celery.worker.worker import ChainAction, Worker

Hire = Callable[[FakeRuntime], Worker]

NODE = "default@here"
LEASE_S = 30.0
OVER = 1.0
BETWEEN: dict[str, Any] = {"state": TaskState.RUNNING, "node": NODE, "step": 1}
FREE = {"delivery": 2, "state": TaskState.SCHEDULED, "node": None, "step_running": False}


def a_node(instance: str = "1") -> Node:
    return Node(name=NODE, instance=instance, hostname="here", pid=1, queues=("default",), version="0")


class Watcher:
    """Remembers what it was told of the datastore."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.fails = 0

    def datastore_answered(self, _now: float) -> None:
        if self.fails:
            self.fails -= 1
            raise KeyError
        self.told.append("answered")

    def datastore_was_away(self) -> None:
        self.told.append("away")


def heartbeat(
    database: CuttableDatabase,
    worker: Worker | None = None,
    *,
    interval_s: float = 0.01,
    watcher: Watcher | None = None,
    replaced: Callable[[], None] = lambda: None,
) -> Heartbeat:
    with database.transaction() as tx:
        nodes.register(tx, a_node())
    return Heartbeat(
        database,
        a_node(),
        worker,
        interval_s=interval_s,
        watcher=watcher or Watcher(),
        replaced=replaced,
    )


def is_lost(database: CuttableDatabase) -> bool:
    with database.transaction() as tx:
        return bool(recovery_queries.lost(tx, limit=1))


def active(database: CuttableDatabase) -> list[str]:
    with database.reading() as tx:
        return [node.name for node in nodes.active(tx, within_s=LEASE_S) if node.stopped_at is None]


def test_the_lease_of_a_running_step_is_renewed(make_worker: Hire, database: CuttableDatabase) -> None:
    runtime = FakeRuntime(hold)
    task = store_task(database)
    worker = make_worker(runtime)

    with at_work(worker, runtime, task.ref):
        change(database, task_now(database, task.id), lease_until=OVER)
        assert is_lost(database)
        runtime.progresses[task.ref] = 40.0

        renew(worker)

        assert not is_lost(database)
        assert task_now(database, task.id).progress == 40.0
    assert runtime.stopped == []


@pytest.mark.parametrize(
    ("values", "grace_s"),
    [
        pytest.param(FREE, 0.0, id="it waits for another worker"),
        pytest.param({"node": "another"}, 0.0, id="another node has it"),
        pytest.param({"outcome": Outcome.FAILED}, 0.0, id="it was given up"),
        pytest.param({"state": TaskState.CANCELLED}, 3.0, id="it was cancelled"),
    ],
)
def test_a_step_that_is_not_the_workers_own_any_more_is_ended(
    make_worker: Hire, database: CuttableDatabase, values: dict[str, Any], grace_s: float
) -> None:
    runtime = FakeRuntime(hold)
    task = store_task(database)
    worker = make_worker(runtime)

    with at_work(worker, runtime, task.ref) as verdict:
        current = change(database, task_now(database, task.id), **values)
        renew(worker)
        assert verdict.result(timeout=20) is ChainAction.IGNORE

    assert (runtime.stopped, runtime.graces_s) == ([task.ref], [grace_s])
    assert task_now(database, task.id) == current
    assert runtime.removed_deliveries == [(task.id, 1)]


def test_a_task_that_is_to_be_adopted_is_kept_and_published_again(
    make_worker: Hire, database: CuttableDatabase, dispatcher: FakeDispatcher
) -> None:
    task = store_task(database, state=TaskState.RUNNING, node=NODE, step_running=True, lease_until=OVER)
    worker = make_worker(FakeRuntime())
    worker.adoptable.add(task)

    renew(worker)

    assert not is_lost(database)
    assert dispatcher.sent_ids == [task.id]


def test_a_task_that_others_have_is_not_adopted(
    make_worker: Hire, database: CuttableDatabase, dispatcher: FakeDispatcher
) -> None:
    task = store_task(database, state=TaskState.RUNNING, node=NODE, step_running=True)
    worker = make_worker(FakeRuntime())
    worker.adoptable.add(task)
    change(database, task, delivery=2, node="another")

    renew(worker)

    assert worker.adoptable.all() == []
    assert dispatcher.sent == []


def test_a_task_between_two_steps_is_kept(make_worker: Hire, database: CuttableDatabase) -> None:
    store_task(database, task_definition(post=1), **BETWEEN, lease_until=OVER)

    renew(make_worker(FakeRuntime()))

    assert not is_lost(database)


def test_a_node_beats_until_it_stops(database: CuttableDatabase) -> None:
    beating = heartbeat(database)
    before = node_now(database)
    beating.start()
    try:
        eventually(lambda: node_now(database).heartbeat_at > before.heartbeat_at)
    finally:
        beating.stop()

    assert active(database) == []
    assert node_now(database).stopped_at is not None


def test_a_node_beats_on_after_an_outage(database: CuttableDatabase) -> None:
    watcher = Watcher()
    beating = heartbeat(database, watcher=watcher)
    database.away = True
    beating.start()
    try:
        eventually(lambda: database.refusals > 1)
        database.away = False
        seen = node_now(database).heartbeat_at
        eventually(lambda: node_now(database).heartbeat_at > seen)
    finally:
        beating.stop()
    assert watcher.told[:2] == ["away", "away"]
    assert watcher.told[-1] == "answered"


def test_a_node_whose_name_was_taken_stops_and_leaves_its_steps(
    make_worker: Hire, database: CuttableDatabase
) -> None:
    runtime = FakeRuntime(hold)
    task = store_task(database)
    worker, replaced = make_worker(runtime), threading.Event()
    beating = heartbeat(database, worker, replaced=replaced.set)

    with at_work(worker, runtime, task.ref) as verdict:
        with database.transaction() as tx:
            nodes.register(tx, a_node(instance="2"))
        beating.start()
        assert replaced.wait(20)
        assert verdict.result(timeout=20) is ChainAction.IGNORE
    beating.stop()

    assert worker.run(store_task(database).ref) is ChainAction.REQUEUE
    assert (runtime.stopped, runtime.removed_deliveries) == ([], [])
    assert (node_now(database).instance, active(database)) == ("2", [NODE])


def test_a_node_beats_on_after_a_bug(database: CuttableDatabase) -> None:
    watcher = Watcher()
    watcher.fails = 2
    beating = heartbeat(database, watcher=watcher)
    beating.start()
    try:
        eventually(lambda: "answered" in watcher.told)
    finally:
        beating.stop()


def test_a_node_stops_without_a_datastore(database: CuttableDatabase) -> None:
    beating = heartbeat(database)
    beating.start()
    database.away = True

    beating.stop()

    database.away = False
    assert active(database) == [NODE]


def test_one_beat_without_a_datastore_says_so(database: CuttableDatabase) -> None:
    beating = heartbeat(database)
    database.away = True

    with pytest.raises(DatastoreUnavailable):
        beating.beat()


def test_a_beat_renews_the_leases_too(make_worker: Hire, database: CuttableDatabase) -> None:
    store_task(database, task_definition(post=1), **BETWEEN, lease_until=OVER)

    heartbeat(database, make_worker(FakeRuntime())).beat()

    assert not is_lost(database)


def test_what_ended_elsewhere_is_removed_now_and_then(make_worker: Hire, database: CuttableDatabase) -> None:
    runtime = FakeRuntime()
    runtime.left_here.append(Leftovers(NODE, "gone", 1))
    beating = heartbeat(database, make_worker(runtime), interval_s=0.001)
    beating.start()
    try:
        eventually(lambda: ("gone", 1) in runtime.removed_deliveries)
    finally:
        beating.stop()


def test_a_machine_is_between_idle_and_busy() -> None:
    assert 0.0 <= cpu_percent() <= 100.0


def test_a_worker_that_was_replaced_lets_go_of_its_steps(
    make_worker: Hire, database: CuttableDatabase
) -> None:
    """The next process of the node takes the step up; this one finds its result refused only if the other
    was faster, so both follow the same container and one outcome counts."""
    runtime = FakeRuntime(hold)
    task = store_task(database)
    worker, after = make_worker(runtime), make_worker(FakeRuntime())

    with at_work(worker, runtime, task.ref) as verdict:
        recovery.recover(after)
        assert after.run(task.ref) is ChainAction.NEXT

    assert verdict.result() is ChainAction.IGNORE


def node_now(database: CuttableDatabase) -> Node:
    with database.transaction() as tx:
        found = nodes.get(tx, NODE)
    assert found is not None
    return found
