"""Queues: their tasks and nodes are counted, and their messages can be purged."""

import pytest

from tests.domain.samples import task_definition
from tests.services.fakes import FakeDispatcher
from tests.services.nodes import register_node
from tests.store.stores import FlakyDatabase, store_task, task_now
from tork_celery.domain.errors import BrokerUnavailable, InvalidInput, NotFound
from tork_celery.domain.states import TaskState
from tork_celery.services import queues
from tork_celery.services.context import ServiceContext
from tork_celery.services.queues import QueueView


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
    task = store_task(database, task_definition(queue="gpu"))

    queues.purge(context, "gpu")

    assert dispatcher.purged_queues == ["gpu"]
    assert task_now(database, task.id) == task


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
