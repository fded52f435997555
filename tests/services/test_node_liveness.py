"""Leases are judged only after the datastore has answered for a whole lease without a gap."""

import pytest
from sqlalchemy import update

from tests.services.sweeping import LONG_AGO, LOST, NODE, FakeClock, Sweep
from tests.store.stores import FlakyDatabase, change, store_task, task_now
from tork_celery.domain.node import Node
from tork_celery.domain.states import TaskState
from tork_celery.services.recovery_sweep import RecoverySweep
from tork_celery.store import nodes
from tork_celery.store import tables as store_tables


def test_lost_task_is_redelivered_after_a_whole_lease_of_answers(
    database: FlakyDatabase, sweep_at: Sweep
) -> None:
    task = store_task(database, **LOST)

    sweep_at(0, 5, 9.9)
    assert task_now(database, task.id) == task

    sweep_at(0, 0.2)
    assert task_now(database, task.id).state is TaskState.SCHEDULED


def test_outage_of_the_datastore_restarts_the_count(
    database: FlakyDatabase, recovery_sweep: RecoverySweep, sweep_at: Sweep
) -> None:
    task = store_task(database, **LOST)
    sweep_at(0, 9)
    recovery_sweep.datastore_was_away()

    sweep_at(0, 2, 9)

    assert task_now(database, task.id) == task


def test_no_lease_is_judged_before_the_first_heartbeat(
    database: FlakyDatabase, recovery_sweep: RecoverySweep
) -> None:
    task = store_task(database, **LOST)

    recovery_sweep.sweep()

    assert task_now(database, task.id) == task


def test_pause_of_more_than_a_lease_restarts_the_count(database: FlakyDatabase, sweep_at: Sweep) -> None:
    """The process was suspended."""
    task = store_task(database, **LOST)

    sweep_at(0, 11, 20)
    assert task_now(database, task.id) == task

    sweep_at(0, 2)
    assert task_now(database, task.id) != task


def test_sweep_before_the_first_heartbeat_after_a_pause_judges_no_lease(
    database: FlakyDatabase, recovery_sweep: RecoverySweep, clock: FakeClock, sweep_at: Sweep
) -> None:
    """The machine was suspended: its workers could not renew their leases yet."""
    task = store_task(database, **LOST | {"lease_until": 9e9})
    sweep_at(0, 5, 10)
    change(database, task, **LOST)
    clock.now += 3600

    recovery_sweep.sweep()

    assert task_now(database, task.id).delivery == task.delivery


@pytest.mark.parametrize("jump_s", [3600, -3600])
def test_jump_of_the_clock_restarts_the_count(
    database: FlakyDatabase, clock: FakeClock, sweep_at: Sweep, jump_s: float
) -> None:
    task = store_task(database, **LOST | {"lease_until": 9e9})
    sweep_at(0, 5, 10)
    lost = change(database, task, **LOST)
    clock.now += jump_s

    sweep_at(0, 5, 9)
    assert task_now(database, task.id) == lost

    sweep_at(2)
    assert task_now(database, task.id) != lost


def test_stale_nodes_are_removed_after_a_whole_lease_of_answers(
    database: FlakyDatabase, sweep_at: Sweep
) -> None:
    node = Node(name=NODE, instance="1", hostname="here", pid=1, queues=("default",), version="0")
    with database.transaction() as tx:
        nodes.register(tx, node)
    sweep_at(0)
    with database.transaction() as tx:
        assert nodes.get(tx, NODE) is not None
        tx.execute(update(store_tables.nodes).values(heartbeat_at=LONG_AGO))

    sweep_at(0)
    with database.transaction() as tx:  # the datastore may have been away as long
        assert nodes.get(tx, NODE) is not None
    sweep_at(10)

    with database.transaction() as tx:
        assert nodes.get(tx, NODE) is None
