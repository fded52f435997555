"""A job that was taken in is not lost."""

import pytest

from tests.domain.samples import job_definition, task_definition
from tests.services.fakes import FakeDispatcher
from tests.store.stores import CuttableDatabase, job_now, task_now, tasks_of
from tork_celery.domain.errors import DatastoreUnavailable
from tork_celery.domain.model import Task
from tork_celery.domain.states import JobState, TaskState
from tork_celery.services.context import ServiceContext
from tork_celery.services.submit import submit
from tork_celery.store import job_pages

TWO = job_definition(task_definition(name="first"), task_definition(name="second"))


def test_a_job_is_stored_with_its_first_task(context: ServiceContext, database: CuttableDatabase) -> None:
    job, task = submit(context, TWO)

    assert job_now(database, job.id) == job
    assert tasks_of(database, job.id) == [task]
    assert (job.state, job.position, task.state) == (JobState.SCHEDULED, 1, TaskState.SCHEDULED)
    assert task.definition.name == "first"
    assert {len(job.id), len(task.id)} == {32}


def test_a_job_is_stored_before_it_is_sent(database: CuttableDatabase) -> None:
    class Witness(FakeDispatcher):
        """Looks from outside, so it sees only what is committed."""

        def send(self, task: Task, *, delay_s: float = 0.0) -> None:
            assert task_now(database, task.id) == task
            super().send(task, delay_s=delay_s)

    witness = Witness()
    _, task = submit(ServiceContext(database=database, dispatcher=witness, lease_s=1), TWO)

    assert witness.sent == [task]


def test_a_broker_that_is_away_is_no_reason_to_refuse_a_job(
    context: ServiceContext, dispatcher: FakeDispatcher, database: CuttableDatabase
) -> None:
    dispatcher.away = True

    job, task = submit(context, TWO)

    assert tasks_of(database, job.id) == [task]
    assert dispatcher.sent == []


def test_without_a_datastore_a_job_is_refused_and_nothing_is_sent(
    context: ServiceContext, dispatcher: FakeDispatcher, database: CuttableDatabase
) -> None:
    database.outages = 1

    with pytest.raises(DatastoreUnavailable):
        submit(context, TWO)

    with database.reading() as tx:
        assert job_pages.page(tx, number=1, size=1) == ([], 0)
    assert dispatcher.sent == []
