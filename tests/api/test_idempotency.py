"""A request with an Idempotency-Key takes effect once, however often it is sent."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from tests.api.documents import document
from tests.store.stores import FlakyDatabase
from tork_celery.api import create_app
from tork_celery.api.context import ApiContext
from tork_celery.api.front.waits import WAIT_KEY, JobWait
from tork_celery.api.idempotency import REPLAY_WAIT_S
from tork_celery.domain.user import NewUser
from tork_celery.services import housekeeping, users
from tork_celery.services.authentication import Authenticator
from tork_celery.services.context import ServiceContext
from tork_celery.store.tables import idempotency_keys

TASK = {"name": "t", "image": "busybox"}
JOB = {"name": "j", "tasks": [TASK]}
SCHEDULE = JOB | {"schedule": {"cron": "@yearly"}}
KEY = {"Idempotency-Key": "k 1"}


@pytest.mark.parametrize(("route", "body"), [("/jobs", JOB), ("/task", TASK), ("/scheduled-jobs", SCHEDULE)])
def test_repeated_request_gets_the_first_response(client: FlaskClient, route: str, body: Any) -> None:
    first = client.post(route, json=body, headers=KEY)

    second = client.post(route, json=body, headers=KEY)

    assert (first.status_code, second.status_code) == (200, 200)
    assert second.text == first.text
    assert "Idempotent-Replay" not in first.headers
    assert second.headers["Idempotent-Replay"] == "true"


def test_other_body_with_the_same_key_is_rejected(
    client: FlaskClient, stored_jobs: Callable[[], int]
) -> None:
    client.post("/jobs", json=JOB, headers=KEY)

    response = client.post("/jobs", json=JOB | {"name": "other"}, headers=KEY)

    assert response.status_code == 409
    assert "had another body" in document(response)["message"]
    assert stored_jobs() == 1


def test_same_key_on_another_route_is_independent(
    client: FlaskClient, stored_jobs: Callable[[], int]
) -> None:
    client.post("/jobs", json=JOB, headers=KEY)

    assert client.post("/tasks", json=TASK, headers=KEY).status_code == 200
    assert stored_jobs() == 2


def test_same_key_of_another_user_is_independent(
    context: ServiceContext, database: FlakyDatabase, stored_jobs: Callable[[], int]
) -> None:
    for name in ("ada", "bob"):
        users.add(database, NewUser(username=name, password="p"))
    authenticator = Authenticator(database, schemes=["basic"])
    client = create_app(
        ApiContext(services=context, body_limit_bytes=10_000, authenticator=authenticator)
    ).test_client()

    for name in ("ada", "bob", "ada"):
        response = client.post("/jobs", json=JOB, headers=KEY, auth=(name, "p"))
        assert document(response)["createdBy"] == {"username": name}

    assert stored_jobs() == 2


def test_rejected_request_keeps_no_key(client: FlaskClient) -> None:
    broken = JOB | {"permissions": [{"user": "nobody"}]}
    assert client.post("/jobs", json=broken, headers=KEY).status_code == 400
    assert client.post("/scheduled-jobs", json=SCHEDULE | broken, headers=KEY).status_code == 400

    assert client.post("/jobs", json=JOB, headers=KEY).status_code == 200
    assert client.post("/scheduled-jobs", json=SCHEDULE, headers=KEY).status_code == 200


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_invalid_key_is_rejected(client: FlaskClient, key: str, stored_jobs: Callable[[], int]) -> None:
    response = client.post("/jobs", json=JOB, headers={"Idempotency-Key": key})

    assert response.status_code == 400
    assert "expected 1 to 255 printable characters" in document(response)["message"]
    assert stored_jobs() == 0


def test_key_is_forgotten_after_a_day(
    client: FlaskClient, context: ServiceContext, database: FlakyDatabase, stored_jobs: Callable[[], int]
) -> None:
    client.post("/jobs", json=JOB, headers=KEY)
    with database.transaction() as tx:
        tx.execute(update(idempotency_keys).values(created_at=database.now(tx) - 24 * 3600 - 1))

    assert "Idempotent-Replay" not in client.post("/jobs", json=JOB, headers=KEY).headers
    assert stored_jobs() == 2
    assert "Idempotent-Replay" in client.post("/jobs", json=JOB, headers=KEY).headers

    with database.transaction() as tx:
        tx.execute(update(idempotency_keys).values(created_at=1.0))
    housekeeping.run(context)
    with database.reading() as tx:
        assert tx.execute(idempotency_keys.select()).all() == []


def test_requests_of_the_same_moment_make_one_job(
    client: FlaskClient, stored_jobs: Callable[[], int]
) -> None:
    barrier = threading.Barrier(8)
    responses: list[Any] = []

    def post() -> None:
        own_client = client.application.test_client()
        barrier.wait()
        responses.append(own_client.post("/jobs", json=JOB, headers=KEY))

    threads = [threading.Thread(target=post) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {response.status_code for response in responses} == {200}
    assert len({document(response)["id"] for response in responses}) == 1
    assert sum("Idempotent-Replay" not in response.headers for response in responses) == 1
    assert stored_jobs() == 1


def test_repeated_request_waits_for_the_same_job(client: FlaskClient, stored_jobs: Callable[[], int]) -> None:
    waits: list[JobWait] = []
    for _ in range(2):
        body = JOB | {"wait": {"timeout": "10s"}}
        client.post("/jobs", json=body, headers=KEY, environ_overrides={WAIT_KEY: waits})

    first, second = waits
    assert second.job_id == first.job_id
    assert (first.timeout_s, second.timeout_s) == (10.0, REPLAY_WAIT_S)
    assert (first.replayed, second.replayed) == (False, True)
    assert stored_jobs() == 1
