"""A node that restarts adopts the steps of its earlier process, and removes what ended deliveries left."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from tests.domain.samples import task_definition
from tests.eventually import eventually
from tests.services.fakes import FakeDispatcher
from tests.services.nodes import register_node
from tests.store.stores import (
    FlakyDatabase,
    change,
    output_of,
    seconds_now,
    store_task,
    system_lines,
    task_now,
)
from tests.worker.fakes import NODE, FakeRuntime, MakeWorker, StepCall, run_until_finished, running_step
from tork_celery.domain.states import Outcome, TaskState
from tork_celery.publisher import Publisher
from tork_celery.runtime.protocol import AlreadyStarted, Leftovers, StepExit
from tork_celery.store import recovery_queries
from tork_celery.store import tables as store_tables
from tork_celery.worker.active_steps import ActiveSteps
from tork_celery.worker.context import WorkerContext
from tork_celery.worker.recovery import AdoptableSteps, Recovery
from tork_celery.worker.worker import ChainAction

MakeRecovery = Callable[[FakeRuntime], Recovery]

OTHER = "default@there"
RUNNING: dict[str, Any] = {"state": TaskState.RUNNING, "node": NODE, "step_running": True, "delivery": 2}
BETWEEN_STEPS = RUNNING | {"step_running": False, "step": 1}


@pytest.fixture
def adoptable() -> AdoptableSteps:
    return AdoptableSteps()


@pytest.fixture
def make_recovery(
    database: FlakyDatabase, dispatcher: FakeDispatcher, adoptable: AdoptableSteps
) -> MakeRecovery:
    """Make the recovery of the node NODE on a given runtime."""

    def make(runtime: FakeRuntime) -> Recovery:
        context = WorkerContext(
            node=NODE,
            database=database,
            dispatcher=dispatcher,
            publisher=Publisher(dispatcher),
            runtime=runtime,
            steps=ActiveSteps(lambda _ref, _grace_s: None, grace_s=0.0),
            lease_s=30.0,
        )
        return Recovery(context, adoptable)

    return make


def test_tasks_of_the_node_are_published_again(
    make_recovery: MakeRecovery,
    database: FlakyDatabase,
    dispatcher: FakeDispatcher,
    adoptable: AdoptableSteps,
) -> None:
    running = store_task(database, **RUNNING)
    between = store_task(database, task_definition(post=1), **BETWEEN_STEPS)
    store_task(database, **RUNNING | {"node": OTHER})
    store_task(database, **RUNNING | {"outcome": Outcome.COMPLETED})
    store_task(database)

    make_recovery(FakeRuntime()).recover()

    assert sorted(dispatcher.sent_ids) == sorted([running.id, between.id])
    assert [task.id for task in adoptable.all()] == [running.id]


def test_lease_is_extended_before_adoption(
    make_recovery: MakeRecovery, database: FlakyDatabase, adoptable: AdoptableSteps
) -> None:
    """Otherwise a coordinator could redeliver the task meanwhile."""
    task = store_task(database, **RUNNING, lease_until=1.0)

    make_recovery(FakeRuntime()).recover()

    with database.transaction() as tx:
        assert recovery_queries.lost(tx, limit=9) == []
    assert adoptable.all() == [task_now(database, task.id)]


def test_adopted_step_is_followed_once(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    runtime = FakeRuntime(AlreadyStarted(), followed=[run_until_finished])
    task = store_task(database, **RUNNING)
    worker = make_worker(runtime)
    worker.recover()

    with running_step(worker, runtime, task.ref) as action:
        assert worker.run(task.ref) is ChainAction.IGNORE

    assert action.result() is ChainAction.NEXT
    assert task_now(database, task.id).outcome is Outcome.COMPLETED
    assert runtime.followed == [task.ref]


def test_log_of_an_adopted_step_continues_after_the_stored_parts(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    def first(call: StepCall) -> StepExit:
        call.print("one\ntwo\nth")
        return run_until_finished(call)

    def followed(call: StepCall) -> StepExit:
        call.print("one\ntwo\nthree\nfour\n")
        return StepExit(code=0)

    task = store_task(database)
    runtime = FakeRuntime(first)
    worker = make_worker(runtime)
    with running_step(worker, runtime, task.ref) as action:
        worker.detach()
        action.result(timeout=20)

    restarted = make_worker(FakeRuntime(AlreadyStarted(), followed=[followed]))
    restarted.recover()

    assert restarted.run(task.ref) is ChainAction.NEXT
    assert output_of(database, task.id) == "one\ntwo\nthree\nfour\n"
    assert system_lines(database, task.id) == [
        "the worker has restarted and follows the step, which it started before"
    ]
    assert task_now(database, task.id).result == "one\ntwo\nthree\nfour\n"


def test_step_without_a_container_is_started(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    """Its process died between the claim and the start."""
    runtime = FakeRuntime(StepExit(code=0))
    task = store_task(database, **RUNNING)
    worker = make_worker(runtime)
    worker.recover()

    assert worker.run(task.ref) is ChainAction.NEXT
    assert (len(runtime.runs), runtime.followed) == (1, [])


def test_adoptable_step_that_another_node_claimed_since_is_removed(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    runtime = FakeRuntime(AlreadyStarted(), followed=[StepExit(code=0)])
    task = store_task(database, **RUNNING)
    worker = make_worker(runtime)
    worker.recover()
    current = change(database, task, delivery=3, node=OTHER)

    assert worker.run(task.ref) is ChainAction.IGNORE

    assert task_now(database, task.id) == current
    assert (runtime.runs, runtime.followed) == ([], [])
    assert runtime.removed_deliveries == [(task.id, task.delivery)]


def test_replaced_worker_leaves_its_step_to_the_new_process(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    """Both may follow the same container; one of the outcomes counts."""
    runtime = FakeRuntime(run_until_finished)
    task = store_task(database)
    worker, replacement = make_worker(runtime), make_worker(FakeRuntime())

    with running_step(worker, runtime, task.ref) as action:
        replacement.recover()
        assert replacement.run(task.ref) is ChainAction.NEXT

    assert action.result() is ChainAction.IGNORE


def test_tasks_are_released_if_steps_die_with_their_process(
    make_recovery: MakeRecovery,
    database: FlakyDatabase,
    dispatcher: FakeDispatcher,
    adoptable: AdoptableSteps,
) -> None:
    running = store_task(database, **RUNNING)
    between = store_task(database, task_definition(post=1), **BETWEEN_STEPS)

    make_recovery(FakeRuntime(adopts=False)).recover()

    for task in (running, between):
        released = task_now(database, task.id)
        assert (released.state, released.node) == (TaskState.SCHEDULED, None)
        assert (released.step, released.delivery, released.losses) == (0, 3, 0)
    assert sorted(dispatcher.sent_ids) == sorted([running.id, between.id])
    assert adoptable.all() == []


def test_node_recovers_without_a_broker(
    make_recovery: MakeRecovery,
    database: FlakyDatabase,
    dispatcher: FakeDispatcher,
    adoptable: AdoptableSteps,
) -> None:
    task = store_task(database, **RUNNING)
    dispatcher.away = True

    make_recovery(FakeRuntime()).recover()

    assert adoptable.all() == [task_now(database, task.id)]


def test_leftovers_of_deliveries_that_the_node_does_not_hold_are_removed(
    make_recovery: MakeRecovery, database: FlakyDatabase
) -> None:
    held, of_other = store_task(database, **RUNNING), store_task(database, **RUNNING | {"node": OTHER})
    ended = store_task(database, **RUNNING | {"outcome": Outcome.COMPLETED})
    runtime = FakeRuntime()
    deliveries = [(held.id, 2), (held.id, 1), (of_other.id, 2), (ended.id, 2), ("none", 1)]
    runtime.left_on_host += [Leftovers(NODE, *delivery) for delivery in deliveries]

    make_recovery(runtime).remove_leftovers()

    assert runtime.removed_deliveries == deliveries[1:]


@pytest.mark.parametrize(("silent_s", "removed"), [(1, False), (31, True), (None, True)])
def test_leftovers_of_a_dead_node_are_removed_unless_it_holds_the_task(
    make_recovery: MakeRecovery, database: FlakyDatabase, silent_s: int | None, removed: bool
) -> None:
    """A node may come back before its leases expire. None: the node is not registered."""
    if silent_s is not None:
        register_node(database, OTHER, "default")
        heartbeat_at = seconds_now(database) - silent_s
        with database.transaction() as tx:
            tx.execute(update(store_tables.nodes).values(heartbeat_at=heartbeat_at))
    held = store_task(database, **RUNNING | {"node": OTHER})
    runtime = FakeRuntime()
    runtime.left_on_host += [Leftovers(OTHER, held.id, 2), Leftovers(OTHER, held.id, 1)]

    make_recovery(runtime).remove_leftovers()

    assert runtime.removed_deliveries == ([(held.id, 1)] if removed else [])


def test_runtime_collects_garbage_of_nodes_that_are_not_alive(
    make_recovery: MakeRecovery, database: FlakyDatabase
) -> None:
    register_node(database, NODE, "default")
    register_node(database, OTHER, "default")
    runtime = FakeRuntime()

    make_recovery(runtime).remove_leftovers()

    [alive] = runtime.alive
    assert alive() == {OTHER}


def test_no_leftovers_cost_no_transaction(make_recovery: MakeRecovery, database: FlakyDatabase) -> None:
    database.down = True

    make_recovery(FakeRuntime()).remove_leftovers()

    assert database.failures == 0


def test_worker_removes_leftovers_periodically(make_worker: MakeWorker) -> None:
    runtime = FakeRuntime()
    make_worker(runtime, cleanup_interval_s=0.001)

    runtime.left_on_host.append(Leftovers(NODE, "gone", 1))

    eventually(lambda: ("gone", 1) in runtime.removed_deliveries)
