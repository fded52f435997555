"""Logs are also answered as plain text."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.store.stores import FlakyDatabase, store_job
from tork_celery.api.front.body_streams import BODY_KEY
from tork_celery.domain.logs import LogPart, LogPosition
from tork_celery.domain.model import Task
from tork_celery.store import logs


@pytest.fixture
def task(database: FlakyDatabase) -> Task:
    _, task = store_job(database)
    part = LogPart(task_id=task.id, step=0, contents="1\n2\n", position=LogPosition(), created_at=0.0)
    with database.transaction() as tx:
        logs.add(tx, job_id=task.job_id, ref=task.ref, parts=[part])
    return task


def get(client: FlaskClient, path: str, **options: Any) -> tuple[Any, str]:
    """Return the response, and the text that the front would send."""
    streams: list[Any] = []
    response = client.get(path, environ_overrides={BODY_KEY: streams}, **options)
    text = b""
    for read in streams:
        while (chunk := read()) is not None:
            text += chunk
    return response, text.decode()


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("?format=text", {}),
        ("?format=text", {"Accept": "application/json"}),
        ("", {"Accept": "text/plain"}),
        ("", {"Accept": "text/plain, application/json;q=0.5"}),
    ],
)
def test_log_is_text_if_the_client_asks(
    client: FlaskClient, task: Task, query: str, headers: dict[str, str]
) -> None:
    response, text = get(client, f"/tasks/{task.id}/log{query}", headers=headers)

    assert (response.status_code, response.content_type) == (200, "text/plain; charset=utf-8")
    assert "Content-Disposition" not in response.headers
    assert text == "1\n2\n"


@pytest.mark.parametrize("headers", [{}, {"Accept": "*/*"}, {"Accept": "application/json, text/plain"}])
def test_log_is_json_otherwise(client: FlaskClient, task: Task, headers: dict[str, str]) -> None:
    response, text = get(client, f"/tasks/{task.id}/log", headers=headers)

    assert response.is_json
    assert text == ""


def test_text_of_a_job_names_the_tasks(client: FlaskClient, task: Task) -> None:
    assert get(client, f"/jobs/{task.job_id}/log?format=text&tail=1")[1] == "a task | 2\n"


def test_log_can_be_downloaded(client: FlaskClient, task: Task) -> None:
    response, _ = get(client, f"/tasks/{task.id}/log?format=text&download=true")

    assert response.headers["Content-Disposition"] == f'attachment; filename="{task.id}.log"'


def test_options_choose_what_is_shown(client: FlaskClient, task: Task) -> None:
    path = f"/tasks/{task.id}/log?format=text"

    assert get(client, f"{path}&tail=1")[1] == "2\n"
    assert get(client, f"{path}&step=1")[1] == ""
    assert len(get(client, f"{path}&timestamps=true")[1]) == 2 * len("1970-01-01T00:00:00.000Z 1\n")


@pytest.mark.parametrize(
    "query",
    [
        "format=html",
        "format=text&tail=x",
        "format=text&tail=-1",
        "format=text&tail=" + "9" * 5000,
        "format=text&timestamps=yes",
        "format=text&download=1",
        "format=text&step=%00",
    ],
)
def test_wrong_option_is_rejected(client: FlaskClient, task: Task, query: str) -> None:
    response, _ = get(client, f"/tasks/{task.id}/log?{query}")

    assert response.status_code == 400


@pytest.mark.parametrize("path", ["/tasks/nope/log", "/jobs/nope/log"])
def test_text_of_an_unknown_log_is_404(client: FlaskClient, path: str) -> None:
    response, _ = get(client, f"{path}?format=text")

    assert response.status_code == 404


def test_head_reads_no_log(client: FlaskClient, task: Task) -> None:
    streams: list[Any] = []
    path = f"/tasks/{task.id}/log?format=text"
    response = client.head(path, environ_overrides={BODY_KEY: streams})

    assert (response.status_code, streams) == (200, [])
