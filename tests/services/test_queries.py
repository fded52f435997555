"""Queries of jobs, tasks, nodes and health."""

from typing import Any

import pytest
from sqlalchemy import event

from tests.services.fakes import FakeDispatcher
from tests.services.nodes import register_node
from tests.store.stores import FlakyDatabase, store_job, store_task
from tork_celery.domain.errors import NotFound
from tork_celery.domain.node import NodeStatus
from tork_celery.domain.search import EVERYTHING
from tork_celery.domain.states import TaskState
from tork_celery.services import queries
from tork_celery.services.context import ServiceContext


@pytest.mark.parametrize(("items", "pages"), [(0, 0), (1, 1), (10, 1), (11, 2), (20, 2)])
def test_page_counts_pages(items: int, pages: int) -> None:
    assert queries.Page(items=[], number=1, size=10, total_items=items).total_pages == pages


def test_job_is_returned_with_its_task_runs(context: ServiceContext, database: FlakyDatabase) -> None:
    job, task = store_job(database)

    assert queries.job(context, job.id) == (job, {}, [task])
    assert queries.task(context, task.id) == (task, frozenset())
    [listed] = queries.job_page(context, EVERYTHING, number=1, size=10).items
    assert (listed.id, listed.state, listed.task_count) == (job.id, job.state, 1)


def test_job_and_first_page_take_few_statements(context: ServiceContext, database: FlakyDatabase) -> None:
    job, _ = store_job(database)
    statements = list[str]()
    event.listen(
        database.engine, "before_cursor_execute", lambda _1, _2, statement, *_: statements.append(statement)
    )

    queries.job(context, job.id)
    assert len(statements) == 2
    queries.job_page(context, EVERYTHING, number=1, size=10)
    assert len(statements) == 3


@pytest.mark.parametrize(
    ("query", "message"),
    [(queries.job, "no job with the id 'unknown'"), (queries.task, "no task with the id 'unknown'")],
)
def test_unknown_id_is_not_found(context: ServiceContext, query: Any, message: str) -> None:
    with pytest.raises(NotFound, match=message):
        query(context, "unknown")


@pytest.mark.parametrize("query", [queries.job_log, queries.task_log])
def test_log_of_unknown_id_is_not_found(context: ServiceContext, query: Any) -> None:
    with pytest.raises(NotFound):
        query(context, "unknown", number=1, size=10)


def test_nodes_are_listed_with_their_task_counts(context: ServiceContext, database: FlakyDatabase) -> None:
    register_node(database, "a@here", "default")
    register_node(database, "b@here", "default")
    store_task(database, state=TaskState.RUNNING, node="b@here")

    views = queries.active_nodes(context)

    assert [(view.node.name, view.status, view.task_count) for view in views] == [
        ("a@here", NodeStatus.UP, 0),
        ("b@here", NodeStatus.UP, 1),
    ]


def test_unavailable_parts_are_named(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    assert queries.unavailable_parts(context) == {}

    dispatcher.away = True
    assert queries.unavailable_parts(context) == {"broker": "the broker is away"}

    database.down = True
    assert set(queries.unavailable_parts(context)) == {"broker", "datastore"}
