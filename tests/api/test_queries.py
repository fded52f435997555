"""Routes that show jobs, tasks and logs."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.api.documents import document
from tests.domain.samples import task_definition
from tests.store.stores import FlakyDatabase, change, job_now, store_job, task_now
from tork_celery.domain.definition import StepDefinition
from tork_celery.domain.logs import LineRun, LogPart, LogPosition, LogSource
from tork_celery.domain.model import Task
from tork_celery.domain.states import JobState, Outcome, TaskState
from tork_celery.services.advance import advance
from tork_celery.services.context import ServiceContext
from tork_celery.store import jobs, logs

Submit = Callable[..., Any]

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
PAGE = ["items", "number", "size", "totalPages", "totalItems"]
SECRETS = {
    "API_TOKEN": "t0p",
    "DB_PASSWORD": "t0p",
    "my_secret": "t0p",
    "AWS_ACCESS_KEY_ID": "t0p",
    "PORT": "80",
}
MASKED = dict.fromkeys(SECRETS, "[REDACTED]") | {"PORT": "80"}


def get(client: FlaskClient, route: str) -> Any:
    response = client.get(route)
    assert response.status_code == 200, response.text
    return document(response)


def add_log(database: FlakyDatabase, task: Task, *contents: str) -> None:
    parts = [LogPart(task_id=task.id, step=0, contents=text, position=LogPosition()) for text in contents]
    with database.transaction() as tx:
        logs.add(tx, job_id=task.job_id, ref=task.ref, parts=parts)


def test_waiting_task_has_no_empty_fields(client: FlaskClient, database: FlakyDatabase) -> None:
    _, task = store_job(database)

    shown = get(client, f"/task/{task.id}")
    assert get(client, f"/tasks/{task.id}") == shown

    assert shown.pop("priority", 0) == 0
    assert {name: value for name, value in shown.items() if not name.endswith("At")} == {
        "id": task.id,
        "jobId": task.job_id,
        "name": "a task",
        "image": "busybox",
        "cmd": ["true"],
        "position": 1,
        "queue": "default",
        "state": "SCHEDULED",
    }
    assert set(shown) >= {"createdAt", "scheduledAt"}


def test_times_are_rfc_3339_in_utc(client: FlaskClient, database: FlakyDatabase) -> None:
    job, task = store_job(database)
    change(database, task, state=TaskState.COMPLETED, started_at=0.0, ended_at=1.5)
    with database.transaction() as tx:
        jobs.save(tx, replace(job, state=JobState.COMPLETED, started_at=0.0, ended_at=1e9 + 0.25))

    shown = get(client, f"/jobs/{job.id}")

    assert shown["startedAt"] == "1970-01-01T00:00:00.000Z"
    assert shown["completedAt"] == "2001-09-09T01:46:40.250Z"
    assert TIME.fullmatch(shown["createdAt"])
    [run] = shown["execution"]
    assert (run["startedAt"], run["completedAt"]) == ("1970-01-01T00:00:00.000Z", "1970-01-01T00:00:01.500Z")


def test_job_shows_submitted_tasks_task_runs_and_results(
    client: FlaskClient, database: FlakyDatabase, context: ServiceContext
) -> None:
    job, task = store_job(database, task_definition(var="one"), task_definition(name="second"))
    change(database, task, state=TaskState.RUNNING, outcome=Outcome.COMPLETED, result="42", ended_at=5.0)
    advance(context, task.id, 1)

    shown = get(client, f"/jobs/{job.id}")

    assert [submitted["name"] for submitted in shown["tasks"]] == ["a task", "second"]
    assert [(run["name"], run["state"]) for run in shown["execution"]] == [
        ("a task", "COMPLETED"),
        ("second", "SCHEDULED"),
    ]
    assert shown["context"]["tasks"] == {"one": "42"}
    assert (shown["position"], shown["progress"], shown["taskCount"]) == (2, 50.0, 2)


def test_failed_job_shows_its_error(
    client: FlaskClient, database: FlakyDatabase, context: ServiceContext
) -> None:
    job, task = store_job(database)
    change(database, task, state=TaskState.RUNNING, outcome=Outcome.FAILED, error="exit code 1", ended_at=5.0)
    advance(context, task.id, 1)

    shown = get(client, f"/jobs/{job.id}")

    assert (shown["state"], shown["error"]) == ("FAILED", "exit code 1")
    assert TIME.fullmatch(shown["failedAt"])
    assert "completedAt" not in shown
    assert TIME.fullmatch(shown["execution"][0]["failedAt"])


def test_secrets_are_masked(client: FlaskClient, database: FlakyDatabase, submit: Submit) -> None:
    step = StepDefinition(image="busybox", env=SECRETS)
    definition = replace(task_definition(env=SECRETS), pre=(step,), post=(step,))
    job, task = store_job(database, definition)
    submitted = submit("/task", {"name": "x", "image": "busybox", "env": SECRETS})

    shown_tasks = [
        get(client, f"/task/{task.id}"),
        *(get(client, f"/jobs/{job.id}")[part][0] for part in ("tasks", "execution")),
    ]

    for shown in shown_tasks:
        assert shown["env"] == MASKED
        assert shown["pre"][0]["env"] == MASKED
        assert shown["post"][0]["env"] == MASKED
    assert submitted["env"] == MASKED
    assert "t0p" not in client.get(f"/jobs/{job.id}").text + client.get("/jobs").text
    assert task_now(database, task.id).definition.env == SECRETS


@pytest.mark.covers("Error.message")
@pytest.mark.parametrize(
    "route",
    ["/task/none", "/tasks/none", "/task/none/log", "/tasks/none/log", "/jobs/none", "/jobs/none/log"],
)
def test_unknown_id_is_404(client: FlaskClient, route: str) -> None:
    response = client.get(route)

    assert response.status_code == 404
    assert "'none'" in document(response)["message"]


@pytest.mark.parametrize("route", ["/jobs", "/jobs?page=7&size=3"])
def test_page_without_jobs_is_empty(client: FlaskClient, route: str) -> None:
    page = get(client, route)

    assert list(page) == PAGE
    assert (page["items"], page["totalPages"], page["totalItems"]) == ([], 0, 0)


@pytest.mark.covers(
    "JobPage.items", "JobPage.number", "JobPage.size", "JobPage.totalPages", "JobPage.totalItems"
)
def test_jobs_are_paged_newest_first(client: FlaskClient, database: FlakyDatabase) -> None:
    newest_first = [store_job(database)[0].id for _ in range(12)][::-1]

    first, second, third = (get(client, f"/jobs?page={number}&size=5") for number in (1, 2, 3))

    assert [job["id"] for page in (first, second, third) for job in page["items"]] == newest_first
    assert list(second) == PAGE
    assert (second["number"], second["size"], second["totalPages"], second["totalItems"]) == (2, 5, 3, 12)
    assert len(get(client, "/jobs")["items"]) == 10


@pytest.mark.parametrize("query", ["page=x", "page=1.5", "size=1e1", "size=٣", "page=--1"])
def test_page_that_is_not_an_integer_is_rejected(client: FlaskClient, query: str) -> None:
    response = client.get(f"/jobs?{query}")

    assert response.status_code == 400
    assert document(response)["message"].startswith(query.split("=", maxsplit=1)[0])


@pytest.mark.parametrize(
    ("query", "number", "size"),
    [
        ("page=0", 1, 10),
        ("page=-1", 1, 10),
        ("page=99999999999", 10**9, 0),
        ("page=" + "9" * 20, 10**9, 0),
        ("page=" + "9" * 5000, 10**9, 0),
        ("page=-" + "9" * 20, 1, 10),
        ("page=" + "0" * 20 + "1", 1, 10),
        ("size=" + "9" * 20, 1, 21),
        ("size=0", 1, 1),
        ("size=-5", 1, 1),
        ("size=101", 1, 21),
        ("page=&size=", 1, 10),
    ],
)
def test_page_outside_the_limits_is_clamped(
    client: FlaskClient, database: FlakyDatabase, query: str, number: int, size: int
) -> None:
    for _ in range(21):
        store_job(database)

    page = get(client, f"/jobs?{query}")

    assert (page["number"], len(page["items"])) == (number, size)


def test_size_of_a_page_is_its_number_of_items(client: FlaskClient, database: FlakyDatabase) -> None:
    for _ in range(3):
        store_job(database)

    assert [get(client, f"/jobs?size=2&page={number}")["size"] for number in (1, 2, 3)] == [2, 1, 0]


@pytest.mark.parametrize("route", ["/jobs/{job}/log", "/tasks/{task}/log"])
def test_log_page_has_25_parts_by_default_and_100_at_most(
    client: FlaskClient, database: FlakyDatabase, route: str
) -> None:
    _, task = store_job(database)
    add_log(database, task, *("x",) * 101)
    path = route.format(job=task.job_id, task=task.id)

    assert [get(client, path + query)["size"] for query in ("", "?size=50", "?size=1000")] == [25, 50, 100]


@pytest.mark.covers(
    "LogPart.id",
    "LogPart.number",
    "LogPart.taskId",
    "LogPart.contents",
    "LogPart.createdAt",
    "LogPage.items",
    "LogPage.totalPages",
    "LogPage.totalItems",
    "LogPage.number",
    "LogPage.size",
)
@pytest.mark.parametrize("kind", ["job", "task"])
def test_log_is_paged_newest_part_first(client: FlaskClient, database: FlakyDatabase, kind: str) -> None:
    _, task = store_job(database)
    add_log(database, task, "one\n", "two\n", "three\n")
    route = f"/jobs/{task.job_id}/log" if kind == "job" else f"/task/{task.id}/log"

    page = get(client, f"{route}?size=2")

    assert list(page) == PAGE
    assert [(part["number"], part["contents"]) for part in page["items"]] == [(3, "three\n"), (2, "two\n")]
    assert (page["totalPages"], page["totalItems"]) == (2, 3)
    for part in page["items"]:
        assert TIME.fullmatch(part["createdAt"])
        assert part["id"] == f"{task.id}-{part['number']}"
        assert part["taskId"] == task.id


@pytest.mark.covers(
    "LogPart.step", "LogPart.stepName", "LogPart.line", "LogPart.source", "LogPart.stderr", "LogPart.times"
)
def test_log_part_knows_where_it_is(client: FlaskClient, database: FlakyDatabase) -> None:
    _, task = store_job(database)
    part = LogPart(
        task_id=task.id,
        step=1,
        step_name="build",
        line=4,
        source=LogSource.SYSTEM,
        contents="a\nb\n",
        stderr=[(2, 4)],
        line_times=[LineRun(2, 15)],
        position=LogPosition(),
    )
    with database.transaction() as tx:
        logs.add(tx, job_id=task.job_id, ref=task.ref, parts=[part])

    [shown] = get(client, f"/tasks/{task.id}/log")["items"]

    assert list(shown) == [
        "id",
        "number",
        "taskId",
        "step",
        "stepName",
        "line",
        "source",
        "contents",
        "stderr",
        "createdAt",
        "times",
    ]
    assert (shown["step"], shown["stepName"], shown["line"]) == (1, "build", 4)
    assert (shown["source"], shown["stderr"], shown["times"]) == ("system", [[2, 4]], [15, 15])


def test_log_part_without_name_and_times_shows_none(client: FlaskClient, database: FlakyDatabase) -> None:
    _, task = store_job(database)
    add_log(database, task, "a\n")

    [shown] = get(client, f"/tasks/{task.id}/log")["items"]

    assert (shown["line"], shown["source"], shown["stderr"]) == (1, "container", [])
    assert not {"stepName", "times"} & set(shown)


@pytest.mark.parametrize("kind", ["jobs", "tasks"])
@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("100%25", [3]),
        ("ERROR", [3, 1]),
        ("two", [2]),
        ("%25", [3]),
        ("_", []),
        ("nothing", []),
        ("", [3, 2, 1]),
    ],
)
def test_log_parts_are_searched(
    client: FlaskClient, database: FlakyDatabase, kind: str, query: str, numbers: list[int]
) -> None:
    _, task = store_job(database)
    add_log(database, task, "one error\n", "two\n", "Error: 100% full\n")
    id_ = task.id if kind == "tasks" else task.job_id

    page = get(client, f"/{kind}/{id_}/log?q={query}")

    assert [part["number"] for part in page["items"]] == numbers
    assert page["totalItems"] == len(numbers)


@pytest.mark.parametrize("query", ["a%00b", "x" * 1001])
def test_invalid_search_text_is_rejected(client: FlaskClient, database: FlakyDatabase, query: str) -> None:
    job, _ = store_job(database)

    response = client.get(f"/jobs/{job.id}/log?q={query}")

    assert response.status_code == 400
    assert document(response)["message"].startswith("q: ")


def test_jobs_are_searched(client: FlaskClient, submit: Submit) -> None:
    task = {"name": "t", "image": "busybox"}
    for name, tags in (("convert video", ["media"]), ("backup", [])):
        submit("/jobs", {"name": name, "tags": tags, "tasks": [task]})

    assert [job["name"] for job in get(client, "/jobs?q=tag:media video")["items"]] == ["convert video"]
    assert get(client, "/jobs?q=status:scheduled&size=1")["totalItems"] == 2
    assert client.get("/jobs?q=status:gone").status_code == 400


def test_empty_log_is_an_empty_page(client: FlaskClient, database: FlakyDatabase) -> None:
    job, task = store_job(database)

    for route in (f"/jobs/{job.id}/log", f"/task/{task.id}/log"):
        assert get(client, route)["items"] == []


def test_get_requests_change_nothing(client: FlaskClient, database: FlakyDatabase) -> None:
    job, task = store_job(database)

    for route in ("/jobs", f"/jobs/{job.id}", f"/task/{task.id}", "/queues", "/health"):
        get(client, route)

    assert (job_now(database, job.id), task_now(database, task.id)) == (job, task)
