"""The sweep recovers tasks and jobs that stopped moving, and leaves those that move alone."""

import pytest
from sqlalchemy import func, select, update

from tests.domain.samples import job_definition, task_definition
from tests.services.fakes import FakeDispatcher
from tests.services.sweeping import LONG_AGO, LOST, NODE, Sweep
from tests.store.stores import FlakyDatabase, change, job_now, seconds_now, store_job, store_task, task_now
from tork_celery.domain.errors import BrokerUnavailable, DatastoreUnavailable
from tork_celery.domain.model import Task
from tork_celery.domain.states import JobState, Outcome, TaskState
from tork_celery.domain.transitions import MAX_LOSSES
from tork_celery.services import recovery_sweep as recovery_sweep_module
from tork_celery.services.context import ServiceContext
from tork_celery.services.recovery_sweep import RecoverySweep
from tork_celery.services.submit import submit
from tork_celery.store import task_queues
from tork_celery.store.tables import job_count_changes
from tork_celery.store.tables import task_queues as task_queue_table


def test_sweep_raises_without_a_datastore(database: FlakyDatabase, recovery_sweep: RecoverySweep) -> None:
    database.down = True

    with pytest.raises(DatastoreUnavailable):
        recovery_sweep.sweep()


def test_lost_task_is_redelivered(
    database: FlakyDatabase, dispatcher: FakeDispatcher, sweep_at: Sweep
) -> None:
    task = store_task(database, task_definition(pre=1), **LOST, delivery=3, step=1)

    sweep_at(0, 10)

    now = task_now(database, task.id)
    assert dispatcher.sent == [now]
    assert (now.state, now.delivery, now.losses) == (TaskState.SCHEDULED, 4, 1)
    assert (now.step, now.step_running, now.node, now.lease_until) == (0, False, None, None)


def test_task_with_a_valid_lease_is_not_redelivered(
    database: FlakyDatabase, dispatcher: FakeDispatcher, sweep_at: Sweep
) -> None:
    task = store_task(database, **LOST | {"lease_until": seconds_now(database) + 600})

    sweep_at(0, 10)

    assert task_now(database, task.id) == task
    assert dispatcher.sent == []


def test_task_that_was_lost_too_often_fails_with_its_job(
    database: FlakyDatabase, dispatcher: FakeDispatcher, sweep_at: Sweep
) -> None:
    task = store_task(database, **LOST, losses=MAX_LOSSES)

    sweep_at(0, 10)
    failed = task_now(database, task.id)
    assert failed.outcome is Outcome.FAILED
    assert failed.error == f"it lost its worker {MAX_LOSSES + 1} times; the last one was {NODE}"

    change(database, failed, ended_at=LONG_AGO)  # the message of `advance` was lost
    sweep_at(0)

    job = job_now(database, task.job_id)
    assert (job.state, job.error) == (JobState.FAILED, failed.error)
    assert task_now(database, task.id).state is TaskState.FAILED
    assert dispatcher.sent == []


def test_task_is_redelivered_up_to_the_limit_of_losses(
    database: FlakyDatabase, dispatcher: FakeDispatcher, sweep_at: Sweep
) -> None:
    task = store_task(database, **LOST)
    sweep_at(0, 10)
    losses = 1
    while (now := task_now(database, task.id)).outcome is None:
        change(database, now, **LOST)
        sweep_at(0)
        losses += 1

    assert losses == MAX_LOSSES + 1
    assert len(dispatcher.sent) == MAX_LOSSES


def test_ended_task_without_an_advance_is_advanced(
    database: FlakyDatabase, dispatcher: FakeDispatcher, sweep_at: Sweep
) -> None:
    job, task = store_job(database, task_definition(), task_definition(name="second"))
    change(
        database,
        task,
        state=TaskState.RUNNING,
        outcome=Outcome.COMPLETED,
        ended_at=LONG_AGO,
        sent_at=LONG_AGO,
    )

    sweep_at(0)

    assert task_now(database, task.id).state is TaskState.COMPLETED
    assert [sent.definition.name for sent in dispatcher.sent] == ["second"]
    assert job_now(database, job.id).position == 2


def test_task_that_ended_just_now_is_not_advanced(database: FlakyDatabase, sweep_at: Sweep) -> None:
    task = store_task(
        database, state=TaskState.RUNNING, outcome=Outcome.COMPLETED, ended_at=seconds_now(database) + 60
    )

    sweep_at(0)

    assert task_now(database, task.id) == task


def store_waiting_tasks(database: FlakyDatabase, number: int) -> list[Task]:
    return [store_task(database, sent_at=LONG_AGO + offset) for offset in range(number)]


@pytest.mark.parametrize(("depth", "republished"), [(0, 3), (1, 2), (2, 1), (3, 0), (9, 0)])
def test_missing_messages_are_republished(
    database: FlakyDatabase, dispatcher: FakeDispatcher, sweep_at: Sweep, depth: int, republished: int
) -> None:
    waiting = store_waiting_tasks(database, 3)
    dispatcher.depths["default"] = depth

    sweep_at(0)

    assert dispatcher.sent_ids == [task.id for task in waiting[:republished]]


def test_recently_published_message_is_not_missing(
    database: FlakyDatabase, dispatcher: FakeDispatcher, sweep_at: Sweep
) -> None:
    store_task(database, sent_at=seconds_now(database) + 60)

    sweep_at(0)

    assert dispatcher.sent == []


def test_task_is_not_republished_with_every_sweep(
    database: FlakyDatabase, dispatcher: FakeDispatcher, sweep_at: Sweep
) -> None:
    store_waiting_tasks(database, 1)

    sweep_at(0, 2)

    assert len(dispatcher.sent) == 1


def test_message_of_a_started_task_is_looked_up_in_the_queue_of_its_node(
    database: FlakyDatabase, dispatcher: FakeDispatcher, sweep_at: Sweep
) -> None:
    started = LOST | {"step_running": False, "step": 1, "lease_until": 9e9}
    task = store_task(database, task_definition(post=1), **started)
    dispatcher.depths[f"node.{NODE}"] = 1
    sweep_at(0)
    assert dispatcher.sent == []

    dispatcher.depths.clear()
    dispatcher.depths["default"] = 5
    sweep_at(0)

    assert dispatcher.sent_ids == [task.id]


def test_sweep_checks_a_batch_of_queues_over_one_connection(
    database: FlakyDatabase, dispatcher: FakeDispatcher, sweep_at: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery_sweep_module, "_QUEUES_PER_SWEEP", 3)
    waiting = {name: store_task(database, task_definition(queue=name), sent_at=LONG_AGO) for name in "abcde"}

    sweep_at(0, 2, 4)

    assert dispatcher.counted_queues == [["a", "b", "c"], ["d", "e", "a"], ["b", "c", "d"]]
    assert sorted(dispatcher.sent_ids) == sorted(task.id for task in waiting.values())


def test_sweep_deletes_queues_that_nobody_uses(
    database: FlakyDatabase, dispatcher: FakeDispatcher, sweep_at: Sweep
) -> None:
    with database.transaction() as tx:
        task_queues.add(tx, ["unused"])
        tx.execute(update(task_queue_table).values(checked_at=LONG_AGO))

    sweep_at(0)

    assert dispatcher.deleted_queues == ["unused"]


def test_message_is_published_once_the_broker_is_back(
    context: ServiceContext,
    database: FlakyDatabase,
    dispatcher: FakeDispatcher,
    recovery_sweep: RecoverySweep,
) -> None:
    dispatcher.away = True
    _, task = submit(context, job_definition())
    change(database, task, sent_at=LONG_AGO)
    with pytest.raises(BrokerUnavailable):
        recovery_sweep.sweep()

    dispatcher.away = False
    recovery_sweep.sweep()

    assert dispatcher.sent_ids == [task.id]


def test_lost_task_is_redelivered_without_a_broker(
    database: FlakyDatabase, dispatcher: FakeDispatcher, recovery_sweep: RecoverySweep, sweep_at: Sweep
) -> None:
    task = store_task(database, **LOST)
    sweep_at(0, 5)
    dispatcher.away = True
    with pytest.raises(BrokerUnavailable):
        sweep_at(6)
    assert task_now(database, task.id).state is TaskState.SCHEDULED
    change(database, task_now(database, task.id), sent_at=LONG_AGO)

    dispatcher.away = False
    recovery_sweep.sweep()

    assert dispatcher.sent_ids == [task.id]


def test_counts_of_jobs_are_folded_without_a_broker(
    database: FlakyDatabase, dispatcher: FakeDispatcher, recovery_sweep: RecoverySweep
) -> None:
    store_waiting_tasks(database, 1)
    dispatcher.away = True

    with pytest.raises(BrokerUnavailable):
        recovery_sweep.sweep()

    with database.reading() as tx:
        assert tx.scalar(select(func.count()).select_from(job_count_changes)) == 0
