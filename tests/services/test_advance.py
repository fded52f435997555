"""Advancing a job after a task has ended; advancing twice has no further effect."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from tests.domain.samples import task_definition
from tests.services.fakes import FakeDispatcher
from tests.store.stores import FlakyDatabase, change, job_now, results_of, store_job, task_now, tasks_of
from tork_celery.domain.model import Job, Task
from tork_celery.domain.states import JobState, Outcome, TaskState
from tork_celery.services.advance import advance
from tork_celery.services.context import ServiceContext
from tork_celery.store import jobs

TWO_TASKS = (task_definition(var="one"), task_definition(name="second"))


@pytest.fixture
def running(database: FlakyDatabase) -> tuple[Job, Task]:
    """A job of two tasks, of which the first one runs in its second delivery."""
    job, task = store_job(database, *TWO_TASKS)
    with database.transaction() as tx:
        jobs.start(tx, job.id)
    return job_now(database, job.id), change(database, task, state=TaskState.RUNNING, delivery=2)


def complete(database: FlakyDatabase, task: Task, **values: Any) -> Task:
    """Store the outcome of the task's steps."""
    return change(database, task, outcome=Outcome.COMPLETED, ended_at=5.0, **values)


def test_next_task_is_stored_and_sent(
    context: ServiceContext,
    database: FlakyDatabase,
    dispatcher: FakeDispatcher,
    running: tuple[Job, Task],
) -> None:
    job, task = running
    complete(database, task, result="42")

    advance(context, task.id, 2)

    first, second = tasks_of(database, job.id)
    assert (first.state, first.ended_at) == (TaskState.COMPLETED, 5.0)
    assert (second.state, second.definition.name) == (TaskState.SCHEDULED, "second")
    assert dispatcher.sent == [second]
    advanced = job_now(database, job.id)
    assert advanced == replace(job, done_tasks=1, ended_tasks=1, progress=50.0)
    assert results_of(database, job.id) == {"one": "42"}


def test_second_call_does_nothing(
    context: ServiceContext,
    database: FlakyDatabase,
    dispatcher: FakeDispatcher,
    running: tuple[Job, Task],
) -> None:
    job, task = running
    complete(database, task)
    advance(context, task.id, 2)
    before = job_now(database, job.id), tasks_of(database, job.id)

    advance(context, task.id, 2)

    assert (job_now(database, job.id), tasks_of(database, job.id)) == before
    assert len(dispatcher.sent) == 1


def test_concurrent_calls_advance_once(
    context: ServiceContext,
    database: FlakyDatabase,
    dispatcher: FakeDispatcher,
    running: tuple[Job, Task],
) -> None:
    job, task = running
    complete(database, task)
    barrier = threading.Barrier(4)

    def call(_: int) -> None:
        barrier.wait()
        advance(context, task.id, 2)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(call, range(4)))

    assert len(tasks_of(database, job.id)) == 2
    assert len(dispatcher.sent) == 1


@pytest.mark.parametrize("delivery", [1, 3])
def test_message_of_another_delivery_is_ignored(
    context: ServiceContext,
    database: FlakyDatabase,
    dispatcher: FakeDispatcher,
    running: tuple[Job, Task],
    delivery: int,
) -> None:
    job, task = running
    task = complete(database, task)

    advance(context, task.id, delivery)

    assert (job_now(database, job.id), task_now(database, task.id)) == (job, task)
    assert dispatcher.sent == []


def test_task_without_outcome_is_not_advanced(
    context: ServiceContext, database: FlakyDatabase, running: tuple[Job, Task]
) -> None:
    job, task = running

    advance(context, task.id, 2)

    assert (job_now(database, job.id), task_now(database, task.id)) == (job, task)


def test_message_of_unknown_task_is_ignored(context: ServiceContext) -> None:
    advance(context, "none", 1)


def test_failed_task_fails_its_job(
    context: ServiceContext,
    database: FlakyDatabase,
    dispatcher: FakeDispatcher,
    running: tuple[Job, Task],
) -> None:
    job, task = running
    change(database, task, outcome=Outcome.FAILED, error="exit code 1", ended_at=5.0)

    advance(context, task.id, 2)

    failed = job_now(database, job.id)
    assert (failed.state, failed.error) == (JobState.FAILED, "exit code 1")
    assert failed.ended_at is not None
    assert [run.state for run in tasks_of(database, job.id)] == [TaskState.FAILED]
    assert dispatcher.sent == []


def test_job_completes_after_its_last_task(
    context: ServiceContext, database: FlakyDatabase, running: tuple[Job, Task]
) -> None:
    job, task = running
    complete(database, task)
    advance(context, task.id, 2)
    second = tasks_of(database, job.id)[1]
    complete(database, second, state=TaskState.RUNNING)

    advance(context, second.id, 1)

    completed = job_now(database, job.id)
    assert (completed.state, completed.progress) == (JobState.COMPLETED, 100.0)
    assert completed.ended_at is not None


def test_job_advances_while_broker_is_away(
    context: ServiceContext,
    database: FlakyDatabase,
    dispatcher: FakeDispatcher,
    running: tuple[Job, Task],
) -> None:
    job, task = running
    complete(database, task)
    dispatcher.away = True

    advance(context, task.id, 2)

    assert [run.state for run in tasks_of(database, job.id)] == [TaskState.COMPLETED, TaskState.SCHEDULED]
