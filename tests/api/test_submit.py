"""Jobs and tasks come in, or are refused as a whole."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.services.fakes import FakeDispatcher
from tests.store.stores import CuttableDatabase, task_now

Submit = Callable[..., Any]
Count = Callable[[], int]

TASK = {"name": "say hello", "image": "busybox", "run": "echo hello"}
JOB = {"name": "a job", "tasks": [TASK]}
YAML = b"name: a job\ntasks:\n  - name: say hello\n    image: busybox\n    run: echo hello\n"


@pytest.mark.parametrize("route", ["/task", "/tasks"])
def test_a_task_is_stored_and_sent(
    submit: Submit, database: CuttableDatabase, dispatcher: FakeDispatcher, route: str
) -> None:
    answer = submit(route, TASK)

    task = task_now(database, answer["id"])
    assert dispatcher.sent == [task]
    assert answer["jobId"] == task.job_id
    assert (answer["state"], answer["name"], answer["position"]) == ("SCHEDULED", "say hello", 1)


def test_a_job_is_stored_and_its_first_task_sent(
    submit: Submit, dispatcher: FakeDispatcher, stored_jobs: Count
) -> None:
    answer = submit("/jobs", JOB)

    assert [task.job_id for task in dispatcher.sent] == [answer["id"]]
    assert (answer["state"], answer["name"], answer["taskCount"]) == ("SCHEDULED", "a job", 1)
    assert stored_jobs() == 1


@pytest.mark.parametrize("media_type", ["text/yaml", "application/x-yaml"])
def test_a_job_may_be_yaml(client: FlaskClient, media_type: str, stored_jobs: Count) -> None:
    answer = client.post("/jobs", data=YAML, content_type=media_type)

    assert answer.status_code == 200, answer.text
    assert stored_jobs() == 1


def test_the_broker_may_be_away(submit: Submit, dispatcher: FakeDispatcher, stored_jobs: Count) -> None:
    dispatcher.away = True

    assert submit("/jobs", JOB)["state"] == "SCHEDULED"
    assert stored_jobs() == 1


@pytest.mark.parametrize(
    ("body", "media_type", "said"),
    [
        pytest.param(b"", "application/json", "", id="nothing"),
        pytest.param(b"{", "application/json", "", id="no JSON"),
        pytest.param(b"a: [", "text/yaml", "", id="no YAML"),
        pytest.param(b"[]", "application/json", "", id="no object"),
        pytest.param(json.dumps(JOB).encode(), "text/plain", "text/plain", id="a type that is not known"),
        pytest.param(json.dumps(JOB).encode(), "", "", id="no type"),
        pytest.param(json.dumps({"name": "x"}).encode(), "application/json", "tasks", id="no tasks"),
        pytest.param(json.dumps(JOB | {"nme": 1}).encode(), "application/json", "nme", id="unknown field"),
        pytest.param(
            json.dumps({"name": "x", "tasks": [{"name": "x"}]}).encode(),
            "application/json",
            "image",
            id="no image",
        ),
        pytest.param(b"\xff\xfe", "application/json", "", id="no text"),
    ],
)
@pytest.mark.parametrize("route", ["/jobs", "/task"])
def test_what_is_wrong_is_refused_and_not_stored(
    client: FlaskClient,
    dispatcher: FakeDispatcher,
    stored_jobs: Count,
    *,
    route: str,
    body: bytes,
    media_type: str,
    said: str,
) -> None:
    answer = client.post(route, data=body, content_type=media_type)

    assert answer.status_code == 400, answer.text
    assert answer.is_json
    assert answer.json["message"]
    if route == "/jobs":
        assert said in answer.json["message"]
    assert (stored_jobs(), dispatcher.sent) == (0, [])


@pytest.mark.parametrize("route", ["/jobs", "/task"])
def test_a_body_above_the_limit_is_refused(client: FlaskClient, stored_jobs: Count, route: str) -> None:
    answer = client.post(route, data=b" " * 10 * 1024 * 1024, content_type="application/json")

    assert answer.status_code == 413
    assert answer.json == {"message": "the body is larger than 1048576 bytes"}
    assert stored_jobs() == 0


def test_a_body_of_the_greatest_length_is_read(client: FlaskClient, stored_jobs: Count) -> None:
    body = json.dumps(JOB).encode()

    answer = client.post("/jobs", data=body.ljust(1024 * 1024), content_type="application/json")

    assert (answer.status_code, stored_jobs()) == (200, 1)


def test_without_a_datastore_nothing_is_taken_in(
    client: FlaskClient, database: CuttableDatabase, dispatcher: FakeDispatcher, stored_jobs: Count
) -> None:
    database.outages = 1

    answer = client.post("/jobs", json=JOB)

    assert (answer.status_code, answer.json) == (503, {"message": "the datastore is away"})
    assert (stored_jobs(), dispatcher.sent) == (0, [])
