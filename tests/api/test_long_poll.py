"""A client that submits a job with `wait` receives the response when the job has ended."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from tests.api.documents import document
from tests.store.stores import FlakyDatabase, job_now
from tork_celery.api import create_app
from tork_celery.api.context import ApiContext
from tork_celery.domain.search import EVERYTHING
from tork_celery.domain.states import JobState
from tork_celery.services.context import ServiceContext
from tork_celery.services.long_poll import JobWaiter
from tork_celery.store import job_pages, jobs

JOB = {
    "name": "j",
    "wait": {"timeout": "10s"},
    "tasks": [{"name": "t", "image": "busybox"}],
}


class FakeTime:
    """A clock that only `sleep` advances. `at` maps a time to an action, which runs when it is reached."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        self.at: dict[float, Callable[[], object]] = {}

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)
        for when in [when for when in self.at if when <= self.now]:
            self.at.pop(when)()


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def job_waiter(time: FakeTime) -> JobWaiter:
    return JobWaiter(slots=1, clock=lambda: time.now, sleep=time.sleep)


@pytest.fixture
def client_with_waiter(context: ServiceContext, job_waiter: JobWaiter) -> FlaskClient:
    api = ApiContext(services=context, body_limit_bytes=10_000, job_waiter=job_waiter)
    return create_app(api).test_client()


def newest_job_id(database: FlakyDatabase) -> str:
    with database.reading() as tx:
        [job], _ = job_pages.page(tx, EVERYTHING, number=1, size=1)
    return job.id


def end(database: FlakyDatabase) -> None:
    job = job_now(database, newest_job_id(database))
    with database.transaction() as tx:
        jobs.save(tx, replace(job, state=JobState.COMPLETED, result="42"))


@pytest.mark.covers("Job.wait")
def test_response_is_the_whole_job_when_it_has_ended(
    client_with_waiter: FlaskClient, database: FlakyDatabase, time: FakeTime
) -> None:
    time.at[5.0] = lambda: end(database)

    response = client_with_waiter.post("/jobs", json=JOB)

    assert response.status_code == 200
    assert (document(response)["state"], document(response)["result"]) == ("COMPLETED", "42")
    assert document(response)["execution"][0]["name"] == "t"
    assert 5.0 <= time.now < 6.0
    assert time.pauses[0] == 0.02
    assert max(time.pauses) == 0.5


@pytest.mark.covers("Wait.timeout")
def test_job_keeps_running_after_the_wait_timeout(
    client_with_waiter: FlaskClient, database: FlakyDatabase, time: FakeTime
) -> None:
    response = client_with_waiter.post("/jobs", json=JOB)

    job_id = newest_job_id(database)
    assert response.status_code == 408
    assert document(response) == {
        "message": f"the job {job_id} has not ended within its `wait`; it keeps running"
    }
    assert job_now(database, job_id).state is JobState.SCHEDULED
    assert time.now == pytest.approx(10.0)


def test_wait_outlasts_a_datastore_outage(
    client_with_waiter: FlaskClient, database: FlakyDatabase, time: FakeTime
) -> None:
    def end_outage() -> None:
        database.down = False
        end(database)

    time.at[1.0] = lambda: setattr(database, "away", True)
    time.at[2.0] = end_outage

    assert document(client_with_waiter.post("/jobs", json=JOB))["state"] == "COMPLETED"


def test_job_that_is_deleted_during_the_wait_is_404(
    client_with_waiter: FlaskClient, database: FlakyDatabase, time: FakeTime
) -> None:
    def delete() -> None:
        with database.transaction() as tx:
            jobs.remove(tx, newest_job_id(database))

    time.at[1.0] = delete

    assert client_with_waiter.post("/jobs", json=JOB).status_code == 404


def test_submission_is_rejected_when_all_waiter_slots_are_taken(
    client_with_waiter: FlaskClient, job_waiter: JobWaiter, stored_jobs: Callable[[], int]
) -> None:
    with job_waiter.slot():
        response = client_with_waiter.post("/jobs", json=JOB)

    assert response.status_code == 503
    assert document(response)["message"].startswith("1 clients already wait")
    assert stored_jobs() == 0
    assert client_with_waiter.post("/jobs", json=JOB).status_code == 408  # the slot is free again
    assert stored_jobs() == 1
