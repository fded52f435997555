"""Queues: their tasks and nodes are counted, and their messages can be purged."""

from dataclasses import replace

import pytest
from sqlalchemy import select, update

from tests.domain.samples import job_definition, task_definition
from tests.services.fakes import FakeDispatcher
from tests.services.nodes import register_node
from tests.services.sweeping import LONG_AGO, Sweep
from tests.store.stores import FlakyDatabase, seconds_now, store_task, task_now
from tork_celery.domain.definition import Parallel, TaskDefinition
from tork_celery.domain.errors import BrokerUnavailable, InvalidInput, NotFound
from tork_celery.domain.states import TaskState
from tork_celery.services import queues
from tork_celery.services.context import ServiceContext
from tork_celery.services.queues import QueueView, WaitingTasks
from tork_celery.services.submit import submit
from tork_celery.store import task_queues
from tork_celery.store.tables import task_queues as table


def test_queues_with_tasks_or_live_nodes_are_listed(context: ServiceContext, database: FlakyDatabase) -> None:
    register_node(database, "a@here", "gpu", "default")
    register_node(database, "b@here", "gpu")
    store_task(database, task_definition(queue="slow"))
    store_task(database, task_definition(queue="gpu"), state=TaskState.RUNNING, node="n")

    assert queues.list_queues(context) == [
        QueueView(name="default", queued_tasks=0, running_tasks=0, live_nodes=1),
        QueueView(name="gpu", queued_tasks=0, running_tasks=1, live_nodes=2),
        QueueView(name="slow", queued_tasks=1, running_tasks=0, live_nodes=0),
    ]


def test_retries_that_are_not_due_do_not_count(context: ServiceContext, database: FlakyDatabase) -> None:
    store_task(database, state=TaskState.PENDING, due_at=seconds_now(database) + 60)
    store_task(database)
    store_task(database, sent_at=LONG_AGO)

    assert queues.get(context, "default").queued_tasks == 2


def test_default_queue_is_always_listed(context: ServiceContext) -> None:
    assert [queue.name for queue in queues.list_queues(context)] == ["default"]


def test_queue_is_returned_by_name(context: ServiceContext, database: FlakyDatabase) -> None:
    store_task(database, task_definition(queue="gpu"))

    assert queues.get(context, "gpu").queued_tasks == 1


def test_unknown_queue_is_not_found(context: ServiceContext) -> None:
    for request in (queues.get, queues.purge):
        with pytest.raises(NotFound, match="no queue named 'unknown'"):
            request(context, "unknown")


def test_purge_removes_messages_and_keeps_tasks(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    task = store_task(database, task_definition(queue="gpu"), sent_at=LONG_AGO)

    queues.purge(context, "gpu")

    assert dispatcher.purged_queues == ["gpu"]
    assert task_now(database, task.id) == replace(task, sent_at=None)


def test_system_queue_cannot_be_purged(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    register_node(database, "control@here", "control")

    with pytest.raises(InvalidInput, match=r"^name: "):
        queues.purge(context, "control")
    assert dispatcher.purged_queues == []


def test_purge_fails_while_broker_is_away(context: ServiceContext, dispatcher: FakeDispatcher) -> None:
    dispatcher.away = True

    with pytest.raises(BrokerUnavailable):
        queues.purge(context, "default")


def waiting(queue: str, number: int, *, node: str | None = None) -> WaitingTasks:
    return WaitingTasks(queue=queue, node=node, number=number)


def test_missing_messages_are_counted_in_one_call(
    context: ServiceContext, dispatcher: FakeDispatcher
) -> None:
    dispatcher.depths.update({"full": 5, "half": 2, "node.n": 1})
    full, half, empty = waiting("full", 3), waiting("half", 3), waiting("empty", 4)
    started = waiting("full", 2, node="n")

    missing = queues.missing_messages(context, [full, half, empty, started])

    assert missing == [(half, 1), (empty, 4), (started, 1)]
    assert dispatcher.counted_queues == [["full", "half", "empty", "node.n"]]


def test_queue_with_many_stale_messages_is_purged(
    database: FlakyDatabase, dispatcher: FakeDispatcher, sweep_at: Sweep
) -> None:
    task = store_task(database, task_definition(queue="gpu"), sent_at=LONG_AGO)
    dispatcher.depths["gpu"] = queues._MAX_STALE_MESSAGES + 1
    sweep_at(0)
    assert dispatcher.purged_queues == []

    dispatcher.depths["gpu"] += 1
    sweep_at(2)
    dispatcher.depths["gpu"] = 0
    assert (dispatcher.purged_queues, task_now(database, task.id).sent_at) == (["gpu"], None)
    sweep_at(4)

    assert dispatcher.sent_ids == [task.id]


def test_broker_is_not_asked_when_no_task_waits(context: ServiceContext, dispatcher: FakeDispatcher) -> None:
    dispatcher.away = True

    assert queues.missing_messages(context, []) == []


def add_queues(database: FlakyDatabase, *names: str, checked_at: float = 1.0) -> None:
    with database.transaction() as tx:
        task_queues.add(tx, names)
        tx.execute(update(table).values(checked_at=checked_at))


def known_queues(database: FlakyDatabase) -> list[str]:
    with database.reading() as tx:
        return sorted(tx.scalars(select(table.c.name)))


def test_queue_that_nobody_uses_is_deleted(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    register_node(database, "a@here", "served")
    store_task(database, task_definition(queue="waiting"))
    store_task(database, task_definition(queue="running"), state=TaskState.RUNNING, node="n")
    store_task(database, task_definition(queue="ended"), state=TaskState.COMPLETED)
    add_queues(database, "served", "waiting", "running", "ended", "unknown")

    queues.delete_unused(context)
    queues.delete_unused(context)

    assert sorted(dispatcher.deleted_queues) == ["ended", "unknown"]
    assert known_queues(database) == ["running", "served", "waiting"]


def test_queue_is_kept_for_an_hour(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    add_queues(database, "gpu", checked_at=seconds_now(database) - 60)

    queues.delete_unused(context)

    assert (dispatcher.deleted_queues, known_queues(database)) == ([], ["gpu"])


def test_queue_is_kept_while_the_broker_is_away(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    add_queues(database, "gpu")
    dispatcher.away = True
    with pytest.raises(BrokerUnavailable):
        queues.delete_unused(context)

    assert known_queues(database) == ["gpu"]


def test_queues_of_jobs_are_known_but_for_the_default_one(
    context: ServiceContext, database: FlakyDatabase
) -> None:
    fan_out = Parallel(tasks=(task_definition(queue="a"), task_definition(queue="b"), task_definition()))
    for _ in range(2):
        submit(context, job_definition(TaskDefinition(name="all", parallel=fan_out)))

    assert known_queues(database) == ["a", "b"]
