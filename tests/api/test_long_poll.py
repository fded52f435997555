"""A job with `wait` is submitted; the front then holds its request until the job has ended."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from tests.api.documents import document
from tests.store.stores import FlakyDatabase, change_job, job_now
from tork_celery.api import create_app
from tork_celery.api.context import ApiContext
from tork_celery.api.front.waits import WAIT_KEY, JobWait
from tork_celery.domain.errors import TooManyWaiters
from tork_celery.domain.states import JobState
from tork_celery.services.context import ServiceContext
from tork_celery.services.long_poll import WaitSlots, ended_jobs
from tork_celery.store import jobs

JOB = {"name": "j", "wait": {"timeout": "10s"}, "tasks": [{"name": "t", "image": "busybox"}]}


@pytest.fixture
def slots() -> WaitSlots:
    return WaitSlots(total=2, per_owner=1)


@pytest.fixture
def waiting_client(context: ServiceContext, slots: WaitSlots) -> FlaskClient:
    api = ApiContext(services=context, body_limit_bytes=10_000, wait_slots=slots, wait_max_s=60.0)
    return create_app(api).test_client()


@pytest.fixture
def submit_waiting(waiting_client: FlaskClient) -> Callable[..., tuple[int, list[JobWait]]]:
    """Return a function that submits a job and returns the status and what the front is asked to wait for."""

    def post(timeout: str = "10s", address: str = "10.0.0.1") -> tuple[int, list[JobWait]]:
        waits: list[JobWait] = []
        response = waiting_client.post(
            "/jobs",
            json=JOB | {"wait": {"timeout": timeout}},
            environ_overrides={WAIT_KEY: waits, "REMOTE_ADDR": address},
        )
        return response.status_code, waits

    return post


Submit = Callable[..., tuple[int, list[JobWait]]]


@pytest.mark.covers("Job.wait", "Wait.timeout")
def test_front_is_asked_to_wait_for_the_submitted_job(
    submit_waiting: Submit, database: FlakyDatabase
) -> None:
    status, [wait] = submit_waiting("10s")

    assert status == 200
    assert wait.timeout_s == 10.0
    assert job_now(database, wait.job_id).state is JobState.SCHEDULED


@pytest.mark.parametrize("preference", ["respond-async", "wait=10, Respond-Async; foo"])
def test_client_may_prefer_not_to_wait(waiting_client: FlaskClient, preference: str) -> None:
    waits: list[JobWait] = []

    response = waiting_client.post(
        "/jobs", json=JOB, headers={"Prefer": preference}, environ_overrides={WAIT_KEY: waits}
    )

    assert document(response)["state"] == "SCHEDULED"
    assert waits == []


def test_longest_wait_is_a_setting(submit_waiting: Submit) -> None:
    _, [wait] = submit_waiting("2h")

    assert wait.timeout_s == 60.0


def test_second_wait_of_one_owner_is_rejected_and_its_job_not_stored(
    submit_waiting: Submit, stored_jobs: Callable[[], int]
) -> None:
    _, [wait] = submit_waiting()

    assert submit_waiting() == (503, [])
    assert stored_jobs() == 1
    assert submit_waiting(address="10.0.0.2")[0] == 200  # another client has slots of its own
    wait.release()
    assert submit_waiting()[0] == 200


def test_rejected_job_takes_no_slot(waiting_client: FlaskClient, slots: WaitSlots) -> None:
    for _ in range(5):
        response = waiting_client.post("/jobs", json=JOB | {"permissions": [{"user": "nobody"}]})
        assert response.status_code == 400, document(response)

    slots.take("127.0.0.1")


def test_slots_are_limited_in_all(slots: WaitSlots) -> None:
    slots.take("a")
    slots.take("b")

    with pytest.raises(TooManyWaiters, match="2 in all already wait"):
        slots.take("c")


def test_slot_is_released_once(slots: WaitSlots) -> None:
    release = slots.take("a")
    slots.take("b")
    release()
    release()

    slots.take("a")
    with pytest.raises(TooManyWaiters):
        slots.take("c")


def test_ended_and_deleted_jobs_are_found(
    context: ServiceContext, submit: Callable[..., dict[str, str]], database: FlakyDatabase
) -> None:
    plain = {key: value for key, value in JOB.items() if key != "wait"}
    running, ended, deleted = (submit("/jobs", plain)["id"] for _ in range(3))
    change_job(database, job_now(database, ended), state=JobState.COMPLETED)
    with database.transaction() as tx:
        jobs.remove(tx, deleted)

    assert ended_jobs(context, [running, ended, deleted]) == {ended, deleted}


def test_outage_of_the_datastore_is_waited_out(context: ServiceContext, database: FlakyDatabase) -> None:
    database.down = True

    assert ended_jobs(context, ["j"]) == set()
