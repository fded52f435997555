"""A node takes its name, and what an earlier process of that name left."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update

from tests.domain.samples import task_definition
from tests.services.fakes import FakeDispatcher
from tests.store.stores import CuttableDatabase, change, store_task, task_now, text_of
from tests.worker.fakes import Call, FakeRuntime, hold
from tests.worker.threads import at_work
from tork_celery.domain.errors import ConfigurationError
from tork_celery.domain.node import Node
from tork_celery.domain.states import Outcome, TaskState
from tork_celery.runtime.protocol import AlreadyStarted, Leftovers, StepExit
from tork_celery.store import nodes, recovery_queries
from tork_celery.store import tables as store_tables
from tork_celery.worker import recovery
from tork_celery.worker.heartbeat import renew
from tork_celery.worker.worker import ChainAction, Worker

Hire = Callable[[FakeRuntime], Worker]

NODE, OTHER = "default@here", "default@there"
RUNNING: dict[str, Any] = {"state": TaskState.RUNNING, "node": NODE, "step_running": True, "delivery": 2}
BETWEEN = RUNNING | {"step_running": False, "step": 1}


def a_node(instance: str, *, hostname: str = "elsewhere", pid: int = 1) -> Node:
    return Node(name=NODE, instance=instance, hostname=hostname, pid=pid, queues=("default",), version="0")


def register(database: CuttableDatabase, node: Node) -> None:
    recovery.register(database, node, lease_s=10.0)


def instance_now(database: CuttableDatabase) -> str:
    with database.transaction() as tx:
        found = nodes.get(tx, NODE)
    assert found is not None
    return found.instance


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_step_that_waits_for_a_slot_is_not_published_with_every_beat(
    make_worker: Hire, database: CuttableDatabase, dispatcher: FakeDispatcher
) -> None:
    store_task(database, **RUNNING)
    worker = make_worker(FakeRuntime())
    recovery.recover(worker)
    dispatcher.depths[f"node.{NODE}"] = 1

    renew(worker)
    assert len(dispatcher.sent) == 1

    dispatcher.depths.clear()
    renew(worker)
    assert len(dispatcher.sent) == 2


def test_a_node_takes_a_name_that_nobody_has(database: CuttableDatabase) -> None:
    register(database, a_node("1"))

    assert instance_now(database) == "1"


@pytest.mark.parametrize(
    "earlier",
    [
        pytest.param(a_node("1"), id="on another host"),
        pytest.param(a_node("1", hostname=socket.gethostname(), pid=os.getppid()), id="on this host"),
        pytest.param(a_node("1", hostname=socket.gethostname(), pid=1), id="of another user on this host"),
    ],
)
def test_a_name_that_a_live_process_has_is_refused(database: CuttableDatabase, earlier: Node) -> None:
    register(database, earlier)

    with pytest.raises(ConfigurationError, match=f"'{NODE}' is alive on {earlier.hostname}.*-n NAME@%h"):
        register(database, a_node("2"))

    assert instance_now(database) == "1"


def test_a_dead_process_of_this_host_is_replaced_at_once(database: CuttableDatabase) -> None:
    register(database, a_node("1", hostname=socket.gethostname(), pid=dead_pid()))

    register(database, a_node("2"))

    assert instance_now(database) == "2"


def test_a_container_that_starts_again_has_the_same_host_and_process(database: CuttableDatabase) -> None:
    register(database, a_node("1", hostname=socket.gethostname(), pid=os.getpid()))

    register(database, a_node("2", hostname=socket.gethostname(), pid=os.getpid()))

    assert instance_now(database) == "2"


def test_a_node_that_stopped_as_planned_is_replaced_at_once(database: CuttableDatabase) -> None:
    register(database, a_node("1"))
    with database.transaction() as tx:
        nodes.record_stop(tx, name=NODE, instance="1")

    register(database, a_node("2"))

    assert instance_now(database) == "2"


def test_a_node_that_was_not_heard_of_for_a_lease_is_replaced(database: CuttableDatabase) -> None:
    register(database, a_node("1"))
    with database.transaction() as tx:
        tx.execute(update(store_tables.nodes).values(heartbeat_at=1.0))

    register(database, a_node("2"))

    assert instance_now(database) == "2"


def test_what_the_node_had_begun_is_published_again(
    make_worker: Hire, database: CuttableDatabase, dispatcher: FakeDispatcher
) -> None:
    running = store_task(database, **RUNNING)
    between = store_task(database, task_definition(post=1), **BETWEEN)
    store_task(database, **RUNNING | {"node": OTHER})
    store_task(database, **RUNNING | {"outcome": Outcome.COMPLETED})
    store_task(database)
    worker = make_worker(FakeRuntime())

    recovery.recover(worker)

    assert sorted(dispatcher.sent_ids) == sorted([running.id, between.id])
    assert [task.id for task in worker.adoptable.all()] == [running.id]


def test_what_the_node_had_begun_is_its_own_again_for_a_whole_lease(
    make_worker: Hire, database: CuttableDatabase
) -> None:
    """Or a coordinator would give it to another while this node takes it up."""
    task = store_task(database, **RUNNING, lease_until=1.0)
    worker = make_worker(FakeRuntime())

    recovery.recover(worker)

    with database.transaction() as tx:
        assert recovery_queries.lost(tx, limit=9) == []
    assert worker.adoptable.all() == [task_now(database, task.id)]


def test_a_step_that_outlived_its_process_is_followed_once(
    make_worker: Hire, database: CuttableDatabase
) -> None:
    runtime = FakeRuntime(AlreadyStarted(), followed_by=[hold])
    task = store_task(database, **RUNNING)
    worker = make_worker(runtime)
    recovery.recover(worker)

    with at_work(worker, runtime, task.ref) as verdict:
        assert worker.run(task.ref) is ChainAction.IGNORE

    assert verdict.result() is ChainAction.NEXT
    assert task_now(database, task.id).outcome is Outcome.COMPLETED
    assert runtime.followed == [task.ref]


def test_the_log_of_an_adopted_step_goes_on_from_what_is_stored(
    make_worker: Hire, database: CuttableDatabase
) -> None:
    def first(call: Call) -> StepExit:
        call.say("one\ntwo\nth")
        return hold(call)

    def again(call: Call) -> StepExit:
        call.say("one\ntwo\nthree\nfour\n")
        return StepExit(code=0)

    task = store_task(database)
    before = FakeRuntime(first)
    worker = make_worker(before)
    with at_work(worker, before, task.ref) as verdict:
        worker.detach()
        verdict.result(timeout=20)

    after = make_worker(FakeRuntime(AlreadyStarted(), followed_by=[again]))
    recovery.recover(after)

    assert after.run(task.ref) is ChainAction.NEXT
    assert text_of(database, task.id) == "one\ntwo\nthree\nfour\n"
    assert task_now(database, task.id).result == "one\ntwo\nthree\nfour\n"


def test_a_step_that_never_started_is_run(make_worker: Hire, database: CuttableDatabase) -> None:
    """Its process died between the claim and the container."""
    runtime = FakeRuntime(StepExit(code=0))
    task = store_task(database, **RUNNING)
    worker = make_worker(runtime)
    recovery.recover(worker)

    assert worker.run(task.ref) is ChainAction.NEXT
    assert (len(runtime.runs), runtime.followed) == (1, [])


def test_an_adopted_step_that_others_have_by_now_does_no_harm(
    make_worker: Hire, database: CuttableDatabase
) -> None:
    runtime = FakeRuntime(AlreadyStarted(), followed_by=[StepExit(code=0)])
    task = store_task(database, **RUNNING)
    worker = make_worker(runtime)
    recovery.recover(worker)
    current = change(database, task, delivery=3, node=OTHER)

    assert worker.run(task.ref) is ChainAction.IGNORE

    assert task_now(database, task.id) == current
    assert (runtime.runs, runtime.followed) == ([], [])
    assert runtime.removed_deliveries == [(task.id, task.delivery)]


def test_steps_that_died_with_their_process_start_again_anywhere(
    make_worker: Hire, database: CuttableDatabase, dispatcher: FakeDispatcher
) -> None:
    running = store_task(database, **RUNNING)
    between = store_task(database, task_definition(post=1), **BETWEEN)
    worker = make_worker(FakeRuntime(adopts=False))

    recovery.recover(worker)

    for task in (running, between):
        free = task_now(database, task.id)
        assert (free.state, free.node, free.step, free.delivery) == (TaskState.SCHEDULED, None, 0, 3)
        assert free.losses == 0
    assert sorted(dispatcher.sent_ids) == sorted([running.id, between.id])
    assert worker.adoptable.all() == []


def test_without_a_broker_the_node_begins_all_the_same(
    make_worker: Hire, database: CuttableDatabase, dispatcher: FakeDispatcher
) -> None:
    task = store_task(database, **RUNNING)
    dispatcher.away = True
    worker = make_worker(FakeRuntime())

    recovery.recover(worker)

    assert worker.adoptable.all() == [task_now(database, task.id)]


def test_what_is_left_of_deliveries_that_are_not_the_nodes_own_is_removed(
    make_worker: Hire, database: CuttableDatabase
) -> None:
    ours, others = store_task(database, **RUNNING), store_task(database, **RUNNING | {"node": OTHER})
    ended = store_task(database, **RUNNING | {"outcome": Outcome.COMPLETED})
    runtime = FakeRuntime()
    left = [(ours.id, 2), (ours.id, 1), (others.id, 2), (ended.id, 2), ("none", 1)]
    runtime.left_here += [Leftovers(NODE, *each) for each in left]

    recovery.remove_leftovers(make_worker(runtime))

    assert runtime.removed_deliveries == left[1:]


@pytest.mark.parametrize(("heard_of_s_ago", "removed"), [(1, False), (31, True), (None, True)])
def test_what_a_node_left_that_is_not_there_any_more_is_removed_by_another_of_its_host(
    make_worker: Hire, database: CuttableDatabase, heard_of_s_ago: int | None, removed: bool
) -> None:
    """But for what the datastore still says that it has: it may be back before its lease runs out."""
    if heard_of_s_ago is not None:
        with database.transaction() as tx:
            nodes.register(tx, replace(a_node("1"), name=OTHER))
            heard_of = database.now(tx) - heard_of_s_ago
            tx.execute(update(store_tables.nodes).values(heartbeat_at=heard_of))
    held = store_task(database, **RUNNING | {"node": OTHER})
    runtime = FakeRuntime()
    runtime.left_here += [Leftovers(OTHER, held.id, 2), Leftovers(OTHER, held.id, 1)]

    recovery.remove_leftovers(make_worker(runtime))

    assert runtime.removed_deliveries == ([(held.id, 1)] if removed else [])


def test_the_runtime_removes_what_it_kept_for_long_enough(make_worker: Hire) -> None:
    runtime = FakeRuntime()

    recovery.remove_leftovers(make_worker(runtime))

    assert runtime.tidied == 1


def test_with_nothing_left_the_datastore_is_not_asked(make_worker: Hire, database: CuttableDatabase) -> None:
    worker = make_worker(FakeRuntime())
    database.away = True

    recovery.remove_leftovers(worker)

    assert database.refusals == 0
