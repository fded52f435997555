"""The sweep finds what was left behind, and takes nothing from anybody who is at work."""

import pytest

from tests.domain.samples import job_definition, task_definition
from tests.services.fakes import FakeDispatcher
from tests.services.sweeping import LONG_AGO, LOST, NODE, Sweep
from tests.store.stores import FlakyDatabase, change, job_now, seconds_now, store_job, store_task, task_now
from tork_celery.domain.errors import BrokerUnavailable, DatastoreUnavailable
from tork_celery.domain.model import Task
from tork_celery.domain.states import JobState, Outcome, TaskState
from tork_celery.domain.transitions import MAX_LOSSES
from tork_celery.services.context import ServiceContext
from tork_celery.services.recovery_sweep import RecoverySweep
from tork_celery.services.submit import submit


def test_a_sweep_without_a_datastore_says_so(database: FlakyDatabase, recovery_sweep: RecoverySweep) -> None:
    database.down = True

    with pytest.raises(DatastoreUnavailable):
        recovery_sweep.sweep()


def test_a_lost_task_gets_the_next_delivery_and_is_sent(
    database: FlakyDatabase, dispatcher: FakeDispatcher, sweep_at: Sweep
) -> None:
    task = store_task(database, task_definition(pre=1), **LOST, delivery=3, step=1)

    sweep_at(0, 10)

    again = task_now(database, task.id)
    assert dispatcher.sent == [again]
    assert (again.state, again.delivery, again.losses) == (TaskState.SCHEDULED, 4, 1)
    assert (again.step, again.step_running, again.node, again.lease_until) == (0, False, None, None)


def test_a_task_whose_lease_lasts_stays_where_it_is(
    database: FlakyDatabase, dispatcher: FakeDispatcher, sweep_at: Sweep
) -> None:
    task = store_task(database, **LOST | {"lease_until": seconds_now(database) + 600})

    sweep_at(0, 10)

    assert task_now(database, task.id) == task
    assert dispatcher.sent == []


def test_a_task_that_was_lost_too_often_fails_and_its_job_with_it(
    database: FlakyDatabase, dispatcher: FakeDispatcher, sweep_at: Sweep
) -> None:
    task = store_task(database, **LOST, losses=MAX_LOSSES)

    sweep_at(0, 10)
    failed = task_now(database, task.id)
    assert failed.outcome is Outcome.FAILED
    assert failed.error == f"it lost its worker {MAX_LOSSES + 1} times; the last one was {NODE}"

    change(database, failed, ended_at=LONG_AGO)  # a while ago: nobody advanced it
    sweep_at(0)

    job = job_now(database, task.job_id)
    assert (job.state, job.error) == (JobState.FAILED, failed.error)
    assert task_now(database, task.id).state is TaskState.FAILED
    assert dispatcher.sent == []


def test_a_task_may_be_lost_so_often_and_not_more(
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


def test_a_task_that_ended_and_was_not_advanced_is(
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


def test_a_task_that_ended_just_now_is_left_to_its_message(database: FlakyDatabase, sweep_at: Sweep) -> None:
    task = store_task(
        database, state=TaskState.RUNNING, outcome=Outcome.COMPLETED, ended_at=seconds_now(database) + 60
    )

    sweep_at(0)

    assert task_now(database, task.id) == task


def waiting(database: FlakyDatabase, number: int) -> list[Task]:
    return [store_task(database, sent_at=LONG_AGO + offset) for offset in range(number)]


@pytest.mark.parametrize(("depth", "republished"), [(0, 3), (1, 2), (2, 1), (3, 0), (9, 0)])
def test_as_many_are_published_again_as_there_are_more_tasks_than_messages(
    database: FlakyDatabase, dispatcher: FakeDispatcher, sweep_at: Sweep, depth: int, republished: int
) -> None:
    found = waiting(database, 3)
    dispatcher.depths["default"] = depth

    sweep_at(0)

    assert dispatcher.sent_ids == [task.id for task in found[:republished]]


def test_a_message_that_was_published_a_moment_ago_is_not_missed(
    database: FlakyDatabase, dispatcher: FakeDispatcher, sweep_at: Sweep
) -> None:
    store_task(database, sent_at=seconds_now(database) + 60)

    sweep_at(0)

    assert dispatcher.sent == []


def test_a_task_is_not_published_again_with_every_sweep(
    database: FlakyDatabase, dispatcher: FakeDispatcher, sweep_at: Sweep
) -> None:
    waiting(database, 1)

    sweep_at(0, 2)

    assert len(dispatcher.sent) == 1


def test_a_step_that_waits_for_its_node_is_missed_in_the_nodes_own_queue(
    database: FlakyDatabase, dispatcher: FakeDispatcher, sweep_at: Sweep
) -> None:
    begun = LOST | {"step_running": False, "step": 1, "lease_until": 9e9}
    task = store_task(database, task_definition(post=1), **begun)
    dispatcher.depths[f"node.{NODE}"] = 1
    sweep_at(0)
    assert dispatcher.sent == []

    dispatcher.depths.clear()
    dispatcher.depths["default"] = 5
    sweep_at(0)

    assert dispatcher.sent_ids == [task.id]


def test_what_the_broker_did_not_take_is_published_later(
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


def test_without_a_broker_lost_tasks_are_still_made_free(
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
