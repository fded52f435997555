"""A heartbeat renews the leases of a worker and kills the steps that no longer belong to its node."""

from typing import Any

import pytest

from tests.domain.samples import task_definition
from tests.services.fakes import FakeDispatcher
from tests.store.stores import FlakyDatabase, change, seconds_now, store_task, task_now
from tests.worker.fakes import NODE, FakeRuntime, MakeWorker, run_until_finished, running_step
from tork_celery.domain.errors import DatastoreUnavailable
from tork_celery.domain.states import Outcome, TaskState
from tork_celery.store import recovery_queries
from tork_celery.worker.worker import ChainAction

EXPIRED = 1.0
BETWEEN_STEPS: dict[str, Any] = {"state": TaskState.RUNNING, "node": NODE, "step": 1}
ADOPTABLE: dict[str, Any] = {"state": TaskState.RUNNING, "node": NODE, "step_running": True}
RELEASED = {"delivery": 2, "state": TaskState.SCHEDULED, "node": None, "step_running": False}


def is_lease_expired(database: FlakyDatabase) -> bool:
    with database.transaction() as tx:
        return bool(recovery_queries.lost(tx, limit=1))


def test_lease_and_progress_of_a_running_step_are_stored(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    runtime = FakeRuntime(run_until_finished)
    task = store_task(database)
    worker = make_worker(runtime)

    with running_step(worker, runtime, task.ref):
        change(database, task_now(database, task.id), lease_until=EXPIRED)
        assert is_lease_expired(database)
        runtime.progress_of[task.ref] = 40.0

        worker.renew_leases()

        assert not is_lease_expired(database)
        assert task_now(database, task.id).progress == 40.0
    assert runtime.killed == []


@pytest.mark.parametrize(
    ("values", "grace_s"),
    [
        pytest.param(RELEASED, 0.0, id="released"),
        pytest.param({"node": "another"}, 0.0, id="another node has it"),
        pytest.param({"outcome": Outcome.FAILED}, 0.0, id="lost too often"),
        pytest.param({"state": TaskState.CANCELLED}, 3.0, id="cancelled"),
        pytest.param({"state": TaskState.STOPPED}, 3.0, id="stopped"),
    ],
)
def test_step_of_a_lost_task_is_killed(
    make_worker: MakeWorker, database: FlakyDatabase, values: dict[str, Any], grace_s: float
) -> None:
    runtime = FakeRuntime(run_until_finished)
    task = store_task(database)
    worker = make_worker(runtime)

    with running_step(worker, runtime, task.ref) as action:
        current = change(database, task_now(database, task.id), **values)
        worker.renew_leases()
        assert action.result(timeout=20) is ChainAction.IGNORE

    assert (runtime.killed, runtime.graces_s) == ([task.ref], [grace_s])
    assert task_now(database, task.id) == current
    assert runtime.removed_deliveries == [(task.id, 1)]


def test_lease_of_an_adoptable_step_is_renewed_and_its_missing_message_published(
    make_worker: MakeWorker, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    task = store_task(database, **ADOPTABLE)
    worker = make_worker(FakeRuntime())
    worker.recover()
    change(database, task_now(database, task.id), lease_until=EXPIRED)
    dispatcher.sent.clear()

    worker.renew_leases()

    assert not is_lease_expired(database)
    assert dispatcher.sent_ids == [task.id]


def test_adoptable_step_that_waits_for_a_slot_is_not_published_at_every_heartbeat(
    make_worker: MakeWorker, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    store_task(database, **ADOPTABLE)
    worker = make_worker(FakeRuntime())
    worker.recover()
    dispatcher.sent.clear()
    dispatcher.depths[f"node.{NODE}"] = 1

    worker.renew_leases()

    assert dispatcher.sent == []


def test_missing_message_is_published_once_the_broker_is_back(
    make_worker: MakeWorker, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    task = store_task(database, **ADOPTABLE)
    worker = make_worker(FakeRuntime())
    dispatcher.away = True
    worker.recover()
    worker.renew_leases()

    dispatcher.away = False
    worker.renew_leases()

    assert dispatcher.sent_ids == [task.id]


def test_adoptable_step_that_another_node_claimed_is_not_adopted(
    make_worker: MakeWorker, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    runtime = FakeRuntime()
    task = store_task(database, **ADOPTABLE)
    worker = make_worker(runtime)
    worker.recover()
    dispatcher.sent.clear()
    change(database, task, delivery=2, node="another")

    worker.renew_leases()

    assert runtime.removed_deliveries == [(task.id, 1)]
    assert dispatcher.sent == []
    assert worker.run(task.ref) is ChainAction.IGNORE
    assert (runtime.runs, runtime.followed) == ([], [])


def test_lease_of_a_task_between_two_steps_is_renewed(
    make_worker: MakeWorker, database: FlakyDatabase
) -> None:
    store_task(database, task_definition(post=1), **BETWEEN_STEPS, lease_until=EXPIRED)

    make_worker(FakeRuntime()).renew_leases()

    assert not is_lease_expired(database)


def test_renewal_raises_while_the_datastore_is_down(make_worker: MakeWorker, database: FlakyDatabase) -> None:
    worker = make_worker(FakeRuntime())
    database.down = True

    with pytest.raises(DatastoreUnavailable):
        worker.renew_leases()


@pytest.mark.parametrize(("for_s", "kept_s"), [(600.0, 600.0), (1.0, 30.0)])
def test_later_renewals_keep_an_extended_lease(
    make_worker: MakeWorker, database: FlakyDatabase, for_s: float, kept_s: float
) -> None:
    """An extension never shortens a lease, which lasts 30 s here."""
    task = store_task(database, task_definition(post=1), **BETWEEN_STEPS)
    worker = make_worker(FakeRuntime())

    def left_s() -> float:
        return (task_now(database, task.id).lease_until or 0.0) - seconds_now(database)

    worker.extend_leases(for_s=for_s)
    assert left_s() == pytest.approx(kept_s, abs=20)
    worker.renew_leases()
    assert left_s() == pytest.approx(kept_s, abs=20)
