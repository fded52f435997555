"""Routes that cancel, restart and delete jobs."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.api.documents import document
from tests.services.fakes import FakeDispatcher
from tests.store.stores import FlakyDatabase, change, change_job, job_now, store_job, task_now, tasks_of
from tork_celery.domain.states import JobState, TaskState
from tork_celery.store import jobs

OK = {"status": "OK"}

Submit = Callable[..., Any]


@pytest.mark.parametrize("kind", ["jobs", "task", "tasks"])
def test_cancel_kills_the_running_steps(
    client: FlaskClient, database: FlakyDatabase, dispatcher: FakeDispatcher, kind: str
) -> None:
    job, task = store_job(database)
    running = change(database, task, state=TaskState.RUNNING, node="default@here", step_running=True)

    response = client.put(f"/{kind}/{job.id if kind == 'jobs' else task.id}/cancel")

    assert (response.status_code, document(response)) == (200, OK)
    assert job_now(database, job.id).state is JobState.CANCELLED
    assert task_now(database, task.id).state is TaskState.CANCELLED
    assert [(killed.id, killed.node) for killed in dispatcher.killed_steps] == [(task.id, running.node)]


def test_cancel_works_without_a_broker(
    client: FlaskClient, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    job, task = store_job(database)
    change(database, task, state=TaskState.RUNNING, node="default@here")
    dispatcher.away = True

    assert client.put(f"/jobs/{job.id}/cancel").status_code == 200
    assert job_now(database, job.id).state is JobState.CANCELLED


def test_restart_schedules_the_cancelled_task_again(
    client: FlaskClient, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    job, _ = store_job(database)
    client.put(f"/jobs/{job.id}/cancel")

    response = client.put(f"/jobs/{job.id}/restart")

    assert (response.status_code, document(response)) == (200, OK)
    states = [run.state for run in tasks_of(database, job.id)]
    assert states == [TaskState.CANCELLED, TaskState.SCHEDULED]
    assert job_now(database, job.id).state is JobState.SCHEDULED
    assert dispatcher.sent == [tasks_of(database, job.id)[1]]


def test_ended_job_is_deleted_with_its_tasks(client: FlaskClient, database: FlakyDatabase) -> None:
    job, task = store_job(database)
    other, _ = store_job(database)
    client.put(f"/jobs/{job.id}/cancel")

    assert document(client.delete(f"/jobs/{job.id}")) == OK

    assert client.get(f"/jobs/{job.id}").status_code == 404
    assert client.get(f"/task/{task.id}").status_code == 404
    assert client.get(f"/jobs/{other.id}").status_code == 200


@pytest.mark.parametrize(
    ("state", "method", "route"),
    [
        (JobState.COMPLETED, "PUT", "/cancel"),
        (JobState.FAILED, "PUT", "/cancel"),
        (JobState.CANCELLED, "PUT", "/cancel"),
        (JobState.SCHEDULED, "PUT", "/restart"),
        (JobState.RUNNING, "PUT", "/restart"),
        (JobState.COMPLETED, "PUT", "/restart"),
        (JobState.SCHEDULED, "DELETE", ""),
        (JobState.RUNNING, "DELETE", ""),
    ],
)
def test_action_in_the_wrong_state_is_400(
    client: FlaskClient, database: FlakyDatabase, state: JobState, method: str, route: str
) -> None:
    job, _ = store_job(database)
    job = replace(job, state=state)
    with database.transaction() as tx:
        jobs.save(tx, job)

    response = client.open(f"/jobs/{job.id}{route}", method=method)

    assert response.status_code == 400
    assert state in document(response)["message"]
    assert job_now(database, job.id) == job


@pytest.mark.parametrize(
    ("method", "route"),
    [
        ("PUT", "/jobs/none/cancel"),
        ("PUT", "/jobs/none/restart"),
        ("DELETE", "/jobs/none"),
        ("PUT", "/task/none/cancel"),
    ],
)
def test_action_on_an_unknown_id_is_404(client: FlaskClient, method: str, route: str) -> None:
    response = client.open(route, method=method)

    assert response.status_code == 404
    assert "'none'" in document(response)["message"]


def test_priority_is_changed(client: FlaskClient, submit: Submit) -> None:
    task = submit("/tasks", {"name": "t", "image": "busybox"})

    assert client.put(f"/jobs/{task['jobId']}/priority", json={"priority": 8}).status_code == 200
    assert document(client.get(f"/tasks/{task['id']}"))["priority"] == 8
    assert client.put(f"/tasks/{task['id']}/priority", json={"priority": 2}).status_code == 200
    assert document(client.get(f"/tasks/{task['id']}"))["priority"] == 2


@pytest.mark.parametrize("body", [{}, {"priority": 10}, {"priority": "9"}, {"priority": 1, "x": 1}])
def test_invalid_priority_is_rejected(client: FlaskClient, submit: Submit, body: dict[str, Any]) -> None:
    task = submit("/tasks", {"name": "t", "image": "busybox"})

    assert client.put(f"/jobs/{task['jobId']}/priority", json=body).status_code == 400
    assert client.put(f"/tasks/{task['id']}/priority", json=body).status_code == 400


TWO = {"name": "j", "tasks": [{"name": name, "image": "i", "var": name} for name in ("a", "b")]}


@pytest.mark.covers("RestartPlan.runs", "RestartPlan.keeps", "PlannedTask.position", "PlannedTask.name")
def test_restart_plan_shows_what_would_run(client: FlaskClient, database: FlakyDatabase) -> None:
    job_id = document(client.post("/jobs", json=TWO))["id"]
    [first] = tasks_of(database, job_id)
    change(database, first, state=TaskState.COMPLETED)
    change_job(database, job_now(database, job_id), state=JobState.FAILED, done_tasks=1, ended_tasks=1)

    plan = client.get(f"/jobs/{job_id}/restart")

    a, b = ({"position": number, "name": name} for number, name in enumerate("ab", start=1))
    assert (plan.status_code, document(plan)) == (200, {"runs": [b], "keeps": [a]})
    assert document(client.get(f"/jobs/{job_id}/restart?from=a")) == {"runs": [a, b], "keeps": []}
    assert document(client.get(f"/jobs/{job_id}/restart?from={first.id}&only=true")) == {
        "runs": [a],
        "keeps": [],
    }
    assert job_now(database, job_id).state is JobState.FAILED, "nothing has changed"


def test_restart_from_a_task_runs_a_completed_job_again(client: FlaskClient, database: FlakyDatabase) -> None:
    job_id = document(client.post("/jobs", json=TWO))["id"]
    [first] = tasks_of(database, job_id)
    change(database, first, state=TaskState.COMPLETED)
    change_job(database, job_now(database, job_id), state=JobState.COMPLETED, done_tasks=2)

    assert client.put(f"/jobs/{job_id}/restart?from=a").status_code == 200

    states = [(run.state, run.superseded) for run in tasks_of(database, job_id)]
    assert states == [(TaskState.COMPLETED, True), (TaskState.SCHEDULED, False)]
    assert job_now(database, job_id).state is JobState.SCHEDULED


@pytest.mark.parametrize(
    "query", ["from=x", "only=true", "from=a&only=yes", "from=" + "x" * 257, "from=%00"], ids=lambda q: q[:16]
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_restart_with_a_wrong_parameter_is_400(
    client: FlaskClient, database: FlakyDatabase, query: str, method: str
) -> None:
    job_id = document(client.post("/jobs", json=TWO))["id"]
    change_job(database, job_now(database, job_id), state=JobState.FAILED)
    assert client.open(f"/jobs/{job_id}/restart?{query}", method=method).status_code == 400


def test_subjob_names_the_parent_to_restart(client: FlaskClient, database: FlakyDatabase) -> None:
    inner = {"name": "s", "subjob": {"name": "inner", "tasks": TWO["tasks"]}}
    job_id = document(client.post("/jobs", json={"name": "j", "tasks": [inner]}))["id"]
    [parent] = tasks_of(database, job_id)
    response = client.put(f"/jobs/{parent.subjob_id}/restart?from=a")
    assert (response.status_code, job_id in document(response)["message"]) == (400, True)
