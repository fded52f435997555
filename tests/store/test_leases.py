"""A node holds a task as long as it renews the lease."""

from typing import Any

import pytest

from tests.domain.samples import task_definition
from tests.store.stores import change, seconds_now, store_task, task_now
from tork_celery.domain.model import StepRef
from tork_celery.domain.states import Outcome, TaskState
from tork_celery.store import Database, claims, leases, recovery_queries, tasks

NODE, OTHER = "default@here", "default@there"
EXPIRED = 1.0
HELD: dict[str, Any] = {
    "state": TaskState.RUNNING,
    "node": NODE,
    "step_running": True,
    "lease_until": EXPIRED,
}


def renew(
    database: Database, *running: str, progress: dict[str, float] | None = None, lease_s: float = 30.0
) -> dict[str, int]:
    with database.transaction() as tx:
        return leases.renew(
            tx, node=NODE, running=running, lease_s=lease_s, progress=progress or {}, reports={}
        )


def lost(database: Database) -> list[str]:
    with database.transaction() as tx:
        return [task.id for task in recovery_queries.lost(tx, limit=100)]


def test_running_step_is_renewed(database: Database) -> None:
    task = store_task(database, **HELD, delivery=3)
    assert lost(database) == [task.id]

    assert renew(database, task.id) == {task.id: 3}

    assert lost(database) == []


def test_task_between_steps_is_renewed(database: Database) -> None:
    task = store_task(database, task_definition(post=1), **HELD | {"step_running": False, "step": 1})

    assert renew(database) == {task.id: 1}
    assert lost(database) == []


def test_step_unknown_to_the_node_is_not_renewed(database: Database) -> None:
    task = store_task(database, **HELD)

    assert renew(database) == {}
    assert lost(database) == [task.id]


@pytest.mark.parametrize(
    "values",
    [
        {"node": OTHER},
        {"outcome": Outcome.COMPLETED},
        {"state": TaskState.CANCELLED},
        {"state": TaskState.SCHEDULED, "node": None},
    ],
)
def test_task_that_the_node_does_not_hold_is_not_renewed(database: Database, values: dict[str, Any]) -> None:
    task = store_task(database, **HELD | values)

    assert renew(database, task.id) == {}
    assert task_now(database, task.id) == task


def test_renewal_stores_progress(database: Database) -> None:
    first, second = store_task(database, **HELD), store_task(database, **HELD | {"progress": 7.0})

    renew(database, first.id, second.id, progress={first.id: 50.0})

    assert task_now(database, first.id).progress == 50.0
    assert task_now(database, second.id).progress == 7.0


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"lease_until": 9e9}, id="lease is valid"),
        pytest.param({"outcome": Outcome.FAILED}, id="steps ended"),
        pytest.param({"state": TaskState.SCHEDULED}, id="not claimed"),
        pytest.param({"state": TaskState.COMPLETED}, id="ended"),
    ],
)
def test_task_is_not_lost(database: Database, values: dict[str, Any]) -> None:
    store_task(database, **HELD | values)

    assert lost(database) == []


def test_lost_respects_the_limit(database: Database) -> None:
    for _ in range(3):
        store_task(database, **HELD)

    with database.transaction() as tx:
        assert len(recovery_queries.lost(tx, limit=2)) == 2


def test_resumed_step_has_a_full_lease(database: Database) -> None:
    task = store_task(database, **HELD)

    with database.transaction() as tx:
        resumed = claims.resume(tx, task.ref, node=NODE, lease_s=60.0)

    assert resumed == task_now(database, task.id)
    assert resumed.lease_until == pytest.approx(seconds_now(database) + 60, abs=5)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"node": OTHER}, id="held by another node"),
        pytest.param({"delivery": 2}, id="delivered again"),
        pytest.param({"step_running": False}, id="not running"),
        pytest.param({"outcome": Outcome.FAILED}, id="steps ended"),
    ],
)
def test_step_that_the_node_does_not_hold_is_not_resumed(database: Database, values: dict[str, Any]) -> None:
    task = store_task(database, **HELD | {"step": 0})
    now = change(database, task, **values)

    with database.transaction() as tx:
        assert claims.resume(tx, task.ref, node=NODE, lease_s=60.0) is None
    assert task_now(database, task.id) == now


def test_extend_sets_the_leases_of_one_node(database: Database) -> None:
    own, foreign = store_task(database, **HELD), store_task(database, **HELD | {"node": OTHER})

    with database.transaction() as tx:
        leases.extend(tx, node=NODE, lease_s=60.0)

    assert lost(database) == [foreign.id]
    assert task_now(database, own.id).lease_until == pytest.approx(seconds_now(database) + 60, abs=5)


def test_claimed_tasks_of_a_node_are_returned(database: Database) -> None:
    task = store_task(database, **HELD)
    store_task(database, **HELD | {"node": OTHER})
    store_task(database, **HELD | {"outcome": Outcome.COMPLETED})
    store_task(database)

    with database.reading() as tx:
        assert leases.of_node(tx, NODE) == [task]
        assert tasks.count_by_node(tx) == {NODE: 1, OTHER: 1}


def test_only_refs_of_the_latest_delivery_are_current(database: Database) -> None:
    task = store_task(database, **HELD, delivery=2)
    old, new = (StepRef(task_id=task.id, delivery=number, step=0) for number in (1, 2))
    unknown = StepRef(task_id="none", delivery=1, step=0)

    with database.transaction() as tx:
        assert claims.current_refs(tx, [old, new, unknown]) == {new}
        assert claims.current_refs(tx, []) == set()
