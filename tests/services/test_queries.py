"""What can be seen of the system."""

from typing import Any

import pytest

from tests.domain.samples import task_definition
from tests.services.fakes import FakeDispatcher
from tests.store.stores import CuttableDatabase, store_job, store_task
from tork_celery.domain.errors import NotFound
from tork_celery.domain.node import Node, NodeStatus
from tork_celery.domain.search import EVERYTHING
from tork_celery.domain.states import TaskState
from tork_celery.services import queries
from tork_celery.services.context import ServiceContext
from tork_celery.store import nodes


def register(database: CuttableDatabase, name: str, *queues: str) -> None:
    node = Node(name=name, instance=name, hostname="here", pid=1, queues=queues, version="0")
    with database.transaction() as tx:
        nodes.register(tx, node)


@pytest.mark.parametrize(("items", "pages"), [(0, 0), (1, 1), (10, 1), (11, 2), (20, 2)])
def test_a_page_says_how_many_there_are(items: int, pages: int) -> None:
    assert queries.Page(items=[], number=1, size=10, total_items=items).total_pages == pages


def test_a_job_is_seen_with_its_task_runs(context: ServiceContext, database: CuttableDatabase) -> None:
    job, task = store_job(database)

    assert queries.job(context, job.id) == (job, [task])
    assert queries.task(context, task.id) == (task, set())
    [listed] = queries.job_page(context, EVERYTHING, number=1, size=10).items
    assert (listed.id, listed.state, listed.task_count) == (job.id, job.state, 1)


@pytest.mark.parametrize("look", [queries.job, queries.task])
def test_what_is_not_there_is_not_found(context: ServiceContext, look: Any) -> None:
    with pytest.raises(NotFound, match="'nothing'"):
        look(context, "nothing")


@pytest.mark.parametrize("look", [queries.job_log, queries.task_log])
def test_the_log_of_what_is_not_there_is_not_found(context: ServiceContext, look: Any) -> None:
    with pytest.raises(NotFound):
        look(context, "nothing", number=1, size=10)


def test_a_queue_is_seen_when_it_has_tasks_or_a_node(
    context: ServiceContext, database: CuttableDatabase
) -> None:
    register(database, "a@here", "gpu", "default")
    register(database, "b@here", "gpu")
    store_task(database, task_definition(queue="slow"))
    store_task(database, task_definition(queue="gpu"), state=TaskState.RUNNING, node="n")

    assert queries.queues(context) == [
        queries.QueueView(name="default", size=0, subscribers=1, unacked=0),
        queries.QueueView(name="gpu", size=0, subscribers=2, unacked=1),
        queries.QueueView(name="slow", size=1, subscribers=0, unacked=0),
    ]


def test_the_default_queue_is_always_seen(context: ServiceContext) -> None:
    assert [queue.name for queue in queries.queues(context)] == ["default"]


def test_a_node_is_seen_with_the_tasks_that_it_runs(
    context: ServiceContext, database: CuttableDatabase
) -> None:
    register(database, "a@here", "default")
    register(database, "b@here", "default")
    store_task(database, state=TaskState.RUNNING, node="b@here")

    found = queries.active_nodes(context)

    assert [(seen.node.name, seen.status, seen.task_count) for seen in found] == [
        ("a@here", NodeStatus.UP, 0),
        ("b@here", NodeStatus.UP, 1),
    ]


def test_the_part_that_does_not_answer_is_named(
    context: ServiceContext, database: CuttableDatabase, dispatcher: FakeDispatcher
) -> None:
    assert queries.faults(context) == {}

    dispatcher.away = True
    assert queries.faults(context) == {"broker": "the broker is away"}

    database.away = True
    assert set(queries.faults(context)) == {"broker", "datastore"}
