"""A client may wait for the end of its job."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from tests.store.stores import CuttableDatabase, job_now
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
    """Passes only while somebody sleeps; `then` is what happens at a time."""

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
def room(time: FakeTime) -> JobWaiter:
    return JobWaiter(slots=1, clock=lambda: time.now, sleep=time.sleep)


@pytest.fixture
def waiting(context: ServiceContext, room: JobWaiter) -> FlaskClient:
    api = ApiContext(services=context, body_limit_bytes=10_000, job_waiter=room)
    return create_app(api).test_client()


def newest(database: CuttableDatabase) -> str:
    with database.reading() as tx:
        [job], _ = job_pages.page(tx, EVERYTHING, number=1, size=1)
    return job.id


def end(database: CuttableDatabase) -> None:
    job = job_now(database, newest(database))
    with database.transaction() as tx:
        jobs.save(tx, replace(job, state=JobState.COMPLETED, result="42"))


@pytest.mark.covers("Job.wait")
def test_the_whole_job_is_answered_when_it_has_ended(
    waiting: FlaskClient, database: CuttableDatabase, time: FakeTime
) -> None:
    time.at[5.0] = lambda: end(database)

    answer = waiting.post("/jobs", json=JOB)

    assert answer.status_code == 200
    assert (answer.json["state"], answer.json["result"]) == ("COMPLETED", "42")
    assert answer.json["execution"][0]["name"] == "t"
    assert 5.0 <= time.now < 6.0
    assert time.pauses[0] == 0.02
    assert max(time.pauses) == 0.5


@pytest.mark.covers("Wait.timeout")
def test_a_wait_that_is_over_leaves_the_job_to_go_on(
    waiting: FlaskClient, database: CuttableDatabase, time: FakeTime
) -> None:
    answer = waiting.post("/jobs", json=JOB)

    job_id = newest(database)
    assert answer.status_code == 408
    assert answer.json == {"message": f"the job {job_id} has not ended within its `wait`; it goes on"}
    assert job_now(database, job_id).state is JobState.SCHEDULED
    assert time.now == pytest.approx(10.0)


def test_a_datastore_that_is_away_in_between_is_waited_for(
    waiting: FlaskClient, database: CuttableDatabase, time: FakeTime
) -> None:
    time.at[1.0] = lambda: setattr(database, "away", True)
    time.at[2.0] = lambda: (setattr(database, "away", False), end(database))

    assert waiting.post("/jobs", json=JOB).json["state"] == "COMPLETED"


def test_a_job_that_was_deleted_meanwhile_is_not_found(
    waiting: FlaskClient, database: CuttableDatabase, time: FakeTime
) -> None:
    def delete() -> None:
        with database.transaction() as tx:
            jobs.remove(tx, newest(database))

    time.at[1.0] = delete

    assert waiting.post("/jobs", json=JOB).status_code == 404


def test_more_than_may_wait_are_refused_and_not_stored(
    waiting: FlaskClient, room: JobWaiter, stored_jobs: Callable[[], int]
) -> None:
    with room.slot():
        answer = waiting.post("/jobs", json=JOB)

    assert answer.status_code == 503
    assert answer.json["message"].startswith("1 clients wait already")
    assert stored_jobs() == 0
    assert waiting.post("/jobs", json=JOB).status_code == 408  # the seat is free again
    assert stored_jobs() == 1
