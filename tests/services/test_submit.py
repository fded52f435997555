"""Submitting jobs: a job is stored before it is sent, and not lost when the broker is away."""

import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event

from tests.domain.samples import job_definition, task_definition
from tests.eventually import eventually
from tests.services.fakes import FakeDispatcher
from tests.store.stores import FlakyDatabase, job_now, task_now, tasks_of
from tork_celery.domain.errors import DatastoreFull, DatastoreUnavailable
from tork_celery.domain.model import Job, Task
from tork_celery.domain.states import JobState, TaskState
from tork_celery.services.context import ServiceContext
from tork_celery.services.submit import submit
from tork_celery.store import job_pages

TWO_TASKS = job_definition(task_definition(name="first"), task_definition(name="second"))


def test_job_is_stored_with_its_first_task(context: ServiceContext, database: FlakyDatabase) -> None:
    job, task = submit(context, TWO_TASKS)

    assert job_now(database, job.id) == job
    assert tasks_of(database, job.id) == [task]
    assert (job.state, job.position, task.state) == (JobState.SCHEDULED, 1, TaskState.SCHEDULED)
    assert task.definition.name == "first"
    assert {len(job.id), len(task.id)} == {32}


def test_task_is_sent_after_the_commit(database: FlakyDatabase) -> None:
    class CheckingDispatcher(FakeDispatcher):
        """Checks in a transaction of its own, which sees committed rows only, that a sent task is stored."""

        def send_all(self, tasks: Sequence[Task]) -> None:
            assert [task_now(database, task.id) for task in tasks] == tasks
            super().send_all(tasks)

    dispatcher = CheckingDispatcher()
    _, task = submit(ServiceContext(database=database, dispatcher=dispatcher, lease_s=1), TWO_TASKS)

    assert dispatcher.sent == [task]


def test_job_is_accepted_while_broker_is_away(
    context: ServiceContext, dispatcher: FakeDispatcher, database: FlakyDatabase
) -> None:
    dispatcher.away = True

    job, task = submit(context, TWO_TASKS)

    assert tasks_of(database, job.id) == [task]
    assert dispatcher.sent == []


def test_job_is_rejected_while_the_disk_of_the_datastore_is_full(
    context: ServiceContext, database: FlakyDatabase
) -> None:
    database.full = True
    with pytest.raises(DatastoreFull):
        submit(context, TWO_TASKS)

    database.full = False
    submit(context, TWO_TASKS)


def test_job_is_rejected_while_datastore_is_away(
    context: ServiceContext, dispatcher: FakeDispatcher, database: FlakyDatabase
) -> None:
    database.failures_left = 1

    with pytest.raises(DatastoreUnavailable):
        submit(context, TWO_TASKS)

    with database.reading() as tx:
        assert job_pages.page(tx, number=1, size=1) == ([], 0)
    assert dispatcher.sent == []


def test_jobs_that_are_submitted_together_are_stored_together(
    context: ServiceContext, dispatcher: FakeDispatcher, database: FlakyDatabase
) -> None:
    commits = list[Any]()
    event.listen(database.engine, "commit", commits.append)
    jobs = list[Job]()
    threads = [threading.Thread(target=lambda: jobs.append(submit(context, TWO_TASKS)[0])) for _ in range(5)]

    def waiting(number: int) -> bool:
        return len(database.group_commit._waiting) == number

    with database.transaction():  # no other transaction begins before all threads wait
        for number, thread in enumerate(threads, start=1):
            thread.start()
            eventually(partial(waiting, number))
    for thread in threads:
        thread.join()

    assert len(commits) == 2
    assert {job.id for job in jobs} == {task.job_id for task in dispatcher.sent}
    assert [job_now(database, job.id) for job in jobs] == jobs
