"""A job moves on when the steps of its task have ended: once, however often it is asked for."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from tests.domain.samples import task_definition
from tests.services.fakes import FakeDispatcher
from tests.store.stores import CuttableDatabase, change, job_now, store_job, task_now, tasks_of
from tork_celery.domain.model import Job, Task
from tork_celery.domain.states import JobState, Outcome, TaskState
from tork_celery.services.advance import advance
from tork_celery.services.context import ServiceContext
from tork_celery.store import jobs

TWO = (task_definition(var="one"), task_definition(name="second"))


@pytest.fixture
def begun(database: CuttableDatabase) -> tuple[Job, Task]:
    """A job of two tasks whose first one runs."""
    job, task = store_job(database, *TWO)
    with database.transaction() as tx:
        jobs.begin(tx, job.id)
    return job_now(database, job.id), change(database, task, state=TaskState.RUNNING, delivery=2)


def ended(database: CuttableDatabase, task: Task, **values: Any) -> Task:
    return change(database, task, outcome=Outcome.COMPLETED, ended_at=5.0, **values)


def test_the_next_task_is_stored_and_sent(
    context: ServiceContext, database: CuttableDatabase, dispatcher: FakeDispatcher, begun: tuple[Job, Task]
) -> None:
    job, task = begun
    ended(database, task, result="42")

    advance(context, task.id, 2)

    first, second = tasks_of(database, job.id)
    assert (first.state, first.ended_at) == (TaskState.COMPLETED, 5.0)
    assert (second.state, second.definition.name) == (TaskState.SCHEDULED, "second")
    assert dispatcher.sent == [second]
    moved = job_now(database, job.id)
    assert moved == replace(job, position=2, progress=50.0, results={"one": "42"})


def test_a_second_call_does_nothing(
    context: ServiceContext, database: CuttableDatabase, dispatcher: FakeDispatcher, begun: tuple[Job, Task]
) -> None:
    job, task = begun
    ended(database, task)
    advance(context, task.id, 2)
    before = job_now(database, job.id), tasks_of(database, job.id)

    advance(context, task.id, 2)

    assert (job_now(database, job.id), tasks_of(database, job.id)) == before
    assert len(dispatcher.sent) == 1


def test_many_calls_at_once_move_a_job_on_once(
    context: ServiceContext, database: CuttableDatabase, dispatcher: FakeDispatcher, begun: tuple[Job, Task]
) -> None:
    job, task = begun
    ended(database, task)
    together = threading.Barrier(4)

    def call(_: int) -> None:
        together.wait()
        advance(context, task.id, 2)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(call, range(4)))

    assert len(tasks_of(database, job.id)) == 2
    assert len(dispatcher.sent) == 1


@pytest.mark.parametrize("delivery", [1, 3])
def test_a_message_of_another_delivery_does_nothing(
    context: ServiceContext,
    database: CuttableDatabase,
    dispatcher: FakeDispatcher,
    begun: tuple[Job, Task],
    delivery: int,
) -> None:
    job, task = begun
    task = ended(database, task)

    advance(context, task.id, delivery)

    assert (job_now(database, job.id), task_now(database, task.id)) == (job, task)
    assert dispatcher.sent == []


def test_a_task_whose_steps_have_not_ended_stays(
    context: ServiceContext, database: CuttableDatabase, begun: tuple[Job, Task]
) -> None:
    job, task = begun

    advance(context, task.id, 2)

    assert (job_now(database, job.id), task_now(database, task.id)) == (job, task)


def test_a_message_of_a_task_that_is_not_there_does_nothing(context: ServiceContext) -> None:
    advance(context, "none", 1)


def test_a_failed_task_fails_its_job(
    context: ServiceContext, database: CuttableDatabase, dispatcher: FakeDispatcher, begun: tuple[Job, Task]
) -> None:
    job, task = begun
    change(database, task, outcome=Outcome.FAILED, error="exit code 1", ended_at=5.0)

    advance(context, task.id, 2)

    moved = job_now(database, job.id)
    assert (moved.state, moved.error) == (JobState.FAILED, "exit code 1")
    assert moved.ended_at is not None
    assert [run.state for run in tasks_of(database, job.id)] == [TaskState.FAILED]
    assert dispatcher.sent == []


def test_after_its_last_task_a_job_is_completed(
    context: ServiceContext, database: CuttableDatabase, begun: tuple[Job, Task]
) -> None:
    job, task = begun
    ended(database, task)
    advance(context, task.id, 2)
    second = tasks_of(database, job.id)[1]
    ended(database, second, state=TaskState.RUNNING)

    advance(context, second.id, 1)

    moved = job_now(database, job.id)
    assert (moved.state, moved.progress) == (JobState.COMPLETED, 100.0)
    assert moved.ended_at is not None


def test_a_broker_that_is_away_holds_nothing_back(
    context: ServiceContext, database: CuttableDatabase, dispatcher: FakeDispatcher, begun: tuple[Job, Task]
) -> None:
    job, task = begun
    ended(database, task)
    dispatcher.away = True

    advance(context, task.id, 2)

    assert [run.state for run in tasks_of(database, job.id)] == [TaskState.COMPLETED, TaskState.SCHEDULED]
