"""Submitted jobs and tasks are stored and published, or rejected as a whole."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.api.documents import document
from tests.services.fakes import FakeDispatcher
from tests.store.stores import FlakyDatabase, task_now

Submit = Callable[..., Any]
Count = Callable[[], int]

TASK = {"name": "say hello", "image": "busybox", "run": "echo hello"}
JOB = {"name": "a job", "tasks": [TASK]}
YAML = b"name: a job\ntasks:\n  - name: say hello\n    image: busybox\n    run: echo hello\n"


@pytest.mark.parametrize("route", ["/task", "/tasks"])
def test_task_is_stored_and_published(
    submit: Submit, database: FlakyDatabase, dispatcher: FakeDispatcher, route: str
) -> None:
    response = submit(route, TASK)

    task = task_now(database, response["id"])
    assert dispatcher.sent == [task]
    assert response["jobId"] == task.job_id
    assert (response["state"], response["name"], response["position"]) == ("SCHEDULED", "say hello", 1)


def test_job_is_stored_and_its_first_task_published(
    submit: Submit, dispatcher: FakeDispatcher, stored_jobs: Count
) -> None:
    response = submit("/jobs", JOB)

    assert [task.job_id for task in dispatcher.sent] == [response["id"]]
    assert (response["state"], response["name"], response["taskCount"]) == ("SCHEDULED", "a job", 1)
    assert stored_jobs() == 1


@pytest.mark.parametrize("media_type", ["text/yaml", "application/x-yaml"])
def test_job_may_be_yaml(client: FlaskClient, media_type: str, stored_jobs: Count) -> None:
    response = client.post("/jobs", data=YAML, content_type=media_type)

    assert response.status_code == 200, response.text
    assert stored_jobs() == 1


def test_job_is_accepted_without_a_broker(
    submit: Submit, dispatcher: FakeDispatcher, stored_jobs: Count
) -> None:
    dispatcher.away = True

    assert submit("/jobs", JOB)["state"] == "SCHEDULED"
    assert stored_jobs() == 1


@pytest.mark.parametrize(
    ("body", "media_type", "message"),
    [
        pytest.param(b"", "application/json", "", id="empty"),
        pytest.param(b"{", "application/json", "", id="invalid JSON"),
        pytest.param(b"a: [", "text/yaml", "", id="invalid YAML"),
        pytest.param(b"[]", "application/json", "", id="not an object"),
        pytest.param(json.dumps(JOB).encode(), "text/plain", "text/plain", id="unknown media type"),
        pytest.param(json.dumps(JOB).encode(), "", "", id="no media type"),
        pytest.param(json.dumps({"name": "x"}).encode(), "application/json", "tasks", id="no tasks"),
        pytest.param(json.dumps(JOB | {"nme": 1}).encode(), "application/json", "nme", id="unknown field"),
        pytest.param(
            json.dumps({"name": "x", "tasks": [{"name": "x"}]}).encode(),
            "application/json",
            "image",
            id="no image",
        ),
        pytest.param(b"\xff\xfe", "application/json", "", id="not UTF-8"),
    ],
)
@pytest.mark.parametrize("route", ["/jobs", "/task"])
def test_invalid_body_is_rejected_and_not_stored(
    client: FlaskClient,
    dispatcher: FakeDispatcher,
    stored_jobs: Count,
    *,
    route: str,
    body: bytes,
    media_type: str,
    message: str,
) -> None:
    response = client.post(route, data=body, content_type=media_type)

    assert response.status_code == 400, response.text
    assert response.is_json
    assert document(response)["message"]
    if route == "/jobs":
        assert message in document(response)["message"]
    assert (stored_jobs(), dispatcher.sent) == (0, [])


@pytest.mark.parametrize("route", ["/jobs", "/task"])
def test_body_above_the_limit_is_rejected(client: FlaskClient, stored_jobs: Count, route: str) -> None:
    response = client.post(route, data=b" " * 10 * 1024 * 1024, content_type="application/json")

    assert response.status_code == 413
    assert document(response) == {"message": "the body is larger than 1048576 bytes"}
    assert stored_jobs() == 0


def test_body_at_the_limit_is_accepted(client: FlaskClient, stored_jobs: Count) -> None:
    body = json.dumps(JOB).encode()

    response = client.post("/jobs", data=body.ljust(1024 * 1024), content_type="application/json")

    assert (response.status_code, stored_jobs()) == (200, 1)


def test_job_is_rejected_without_a_datastore(
    client: FlaskClient, database: FlakyDatabase, dispatcher: FakeDispatcher, stored_jobs: Count
) -> None:
    database.failures_left = 1

    response = client.post("/jobs", json=JOB)

    assert (response.status_code, document(response)) == (503, {"message": "the datastore is away"})
    assert (stored_jobs(), dispatcher.sent) == (0, [])
