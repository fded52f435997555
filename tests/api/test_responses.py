"""Responses about jobs, tasks and scheduled jobs have the keys of the definition and the fields of a run."""

import json
from dataclasses import replace
from itertools import chain
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from tests.api.documents import document
from tests.store.stores import FlakyDatabase, change, job_now, tasks_of
from tork_celery.domain.definition import Schedule
from tork_celery.domain.states import JobState, TaskState
from tork_celery.domain.user import NewUser
from tork_celery.jobfile import parse_task
from tork_celery.services import users
from tork_celery.store import jobs
from tork_celery.store import tables as store_tables

STEP = {"name": "s", "description": "of it", "image": "busybox", "cmd": ["a"], "timeout": "5s"}
TASK: dict[str, Any] = {
    "name": "t",
    "description": "what it does",
    "image": "busybox",
    "run": "true",
    "cmd": ["a"],
    "entrypoint": ["sh"],
    "env": {"A": "b"},
    "files": {"a": "b"},
    "workdir": "/w",
    "queue": "q",
    "pre": [STEP],
    "post": [STEP],
    "sidecars": [STEP | {"probe": {"path": "/", "port": 80, "timeout": "5s"}}],
    "mounts": [{"type": "tmpfs", "target": "/a", "opts": {"size": "1m"}}],
    "volumes": ["/b"],
    "networks": ["n"],
    "limits": {"cpus": "1", "memory": "16m"},
    "gpus": "all",
    "timeout": "5m",
    "var": "x",
    "if": "true",
    "needs": [],
    "allowFailure": {"exitCodes": [2]},
    "tags": ["slow"],
    "priority": 3,
}
JOB: dict[str, Any] = {
    "name": "j",
    "description": "d",
    "tags": ["t"],
    "inputs": {"a": "b"},
    "output": "{{ 1 }}",
    "failFast": False,
    "autoDelete": {"after": "1h"},
    "defaults": {"priority": 3, "timeout": "1m"},
    "webhooks": [{"url": "http://localhost/x", "headers": {"A": "b"}, "event": "job.Progress", "if": "true"}],
}
RETRY = {"limit": 2, "initialDelay": "1s", "scalingFactor": 3.0, "maxDelay": "1m"}
SECRET_JOB: dict[str, Any] = {
    **JOB,
    "secrets": {"key": "s3cr3t"},
    "tasks": [TASK | {"registry": {"username": "u", "password": "p4ssw0rd"}, "retry": RETRY}],
}
JOB_RUN = {
    "createdBy": {"username": "mia"},
    "parentId": "p",
    "startedAt": "1970-01-01T00:00:01.000Z",
    "taskCount": 1,
    "result": "r",
    "error": "e",
    "progress": 50.0,
}
TASK_RUN = {
    "parentId": "p",
    "position": 1,
    "scheduledAt": "1970-01-01T00:00:00.500Z",
    "startedAt": "1970-01-01T00:00:01.000Z",
    "nodeId": "n@here",
    "redelivered": 2,
    "result": "r",
    "error": "e",
    "progress": 5.0,
}
ENDED_AT = "1970-01-01T00:00:02.000Z"


def fields(schema: str, *documents: dict[str, Any] | str) -> list[str]:
    """Return the names of fields for the marker `covers`: of the keys of documents, or of one key."""
    keys = [[each] if isinstance(each, str) else each for each in documents]
    return [f"{schema}.{key}" for key in chain(*keys)]


@pytest.fixture
def job_id(client: FlaskClient) -> str:
    return str(document(client.post("/jobs", json=SECRET_JOB))["id"])


def end_job(database: FlakyDatabase, job_id: str, state: JobState) -> None:
    """End the job. Every field of its summary gets a value."""
    job = job_now(database, job_id)
    definition = replace(job.definition, schedule=Schedule(id="s", cron="@daily"))
    summary = jobs._summary(replace(job, definition=definition))
    row = {"summary": summary, "created_by": "mia", "parent_id": "p"}
    ended = replace(
        job, state=state, created_by="mia", parent_id="p", started_at=1.0, ended_at=2.0, delete_at=9.0
    )
    with database.transaction() as tx:
        tx.execute(update(store_tables.jobs).where(store_tables.jobs.c.id == job_id).values(row))
        done = int(state is JobState.COMPLETED)
        jobs.save(tx, replace(ended, done_tasks=done, result="r", error="e", progress=50.0))


@pytest.mark.covers(
    *fields("JobSummary", JOB_RUN, "id", "name", "description", "tags", "inputs", "schedule", "state"),
    *fields("JobSummary", "createdAt", "completedAt", "failedAt", "position"),
    "Creator.username",
)
@pytest.mark.parametrize(
    ("state", "field"), [(JobState.COMPLETED, "completedAt"), (JobState.FAILED, "failedAt")]
)
def test_listed_job_has_all_fields_of_a_summary(
    client: FlaskClient, database: FlakyDatabase, job_id: str, state: JobState, field: str
) -> None:
    end_job(database, job_id, state)

    [summary] = document(client.get("/jobs"))["items"]

    assert summary.pop("createdAt")
    assert summary == JOB_RUN | {
        "id": job_id,
        "name": "j",
        "description": "d",
        "tags": ["t"],
        "inputs": {"a": "b"},
        "schedule": {"id": "s", "cron": "@daily"},
        "state": state,
        field: ENDED_AT,
        "position": 2 if state is JobState.COMPLETED else 1,
    }


def test_position_of_a_completed_job_is_beyond_its_last_task(
    client: FlaskClient, database: FlakyDatabase, job_id: str
) -> None:
    end_job(database, job_id, JobState.COMPLETED)

    job = document(client.get(f"/jobs/{job_id}"))

    assert (job["position"], job["taskCount"]) == (2, 1)


@pytest.mark.covers(
    *fields("JobResponse", "tasks", "execution", "context", "output", "defaults", "webhooks", "autoDelete"),
    *fields("JobResponse", "deleteAt", "failFast", "secrets"),
)
def test_whole_job_has_its_summary_and_its_definition(
    client: FlaskClient, database: FlakyDatabase, job_id: str
) -> None:
    end_job(database, job_id, JobState.FAILED)
    [summary] = document(client.get("/jobs"))["items"]

    job = document(client.get(f"/jobs/{job_id}"))

    del summary["schedule"]  # only the listed copy has one
    assert summary.items() <= job.items()
    assert JOB.items() <= job.items()
    assert job["secrets"] == {"key": "[REDACTED]"}
    assert job["deleteAt"] == "1970-01-01T00:00:09.000Z"
    assert TASK.items() <= job["tasks"][0].items()
    assert [run["name"] for run in job["execution"]] == ["t"]
    assert job["context"]["inputs"] == JOB["inputs"]


@pytest.mark.covers(
    *fields("TaskResponse", TASK, TASK_RUN, "registry", "retry", "id", "jobId", "state"),
    *fields("TaskResponse", "createdAt", "completedAt", "failedAt"),
    *("Task.tags", "Step.description", "Step.cmd"),
)
@pytest.mark.parametrize(
    ("state", "field"), [(TaskState.COMPLETED, "completedAt"), (TaskState.FAILED, "failedAt")]
)
def test_task_has_its_definition_and_its_run(
    client: FlaskClient, database: FlakyDatabase, job_id: str, state: TaskState, field: str
) -> None:
    [run] = tasks_of(database, job_id)
    times = {"scheduled_at": 0.5, "started_at": 1.0, "ended_at": 2.0}
    outcome = {"node": "n@here", "losses": 2, "result": "r", "error": "e", "progress": 5.0, "attempts": 1}
    change(database, run, state=state, parent_id="p", **times, **outcome)

    task = document(client.get(f"/tasks/{run.id}"))

    assert TASK.items() <= task.items()
    assert task["registry"] == {"username": "u", "password": "[REDACTED]"}
    assert task["retry"] == RETRY | {"attempts": 1}
    assert task["createdAt"]
    expected = TASK_RUN | {"id": run.id, "jobId": job_id, "state": state, field: ENDED_AT}
    assert expected.items() <= task.items()


@pytest.mark.covers("JobResponse.permissions", "ScheduledJobResponse.permissions")
def test_permissions_name_users_and_roles(client: FlaskClient, database: FlakyDatabase) -> None:
    users.add(database, NewUser(username="mia", password="s3cr3t"))
    body = SECRET_JOB | {"permissions": [{"user": "mia"}, {"role": "public"}]}
    job = document(client.post("/jobs", json=body))
    scheduled = document(client.post("/scheduled-jobs", json=body | {"schedule": {"cron": "@daily"}}))

    expected = [{"user": {"username": "mia"}}, {"role": {"slug": "public"}}]
    assert document(client.get(f"/jobs/{job['id']}"))["permissions"] == expected
    assert document(client.get(f"/scheduled-jobs/{scheduled['id']}"))["permissions"] == expected


@pytest.mark.covers(
    "ScheduledJobSummary.inputs",
    *fields("ScheduledJobResponse", "autoDelete", "defaults", "failFast", "output", "webhooks"),
    *fields("ScheduleOfJobs", "id", "cron"),
)
def test_scheduled_job_has_its_definition(client: FlaskClient) -> None:
    body = SECRET_JOB | {"schedule": {"cron": "@daily"}}
    summary = document(client.post("/scheduled-jobs", json=body))

    scheduled = document(client.get(f"/scheduled-jobs/{summary['id']}"))

    assert summary["inputs"] == JOB["inputs"]
    assert summary["schedule"] == {"id": summary["id"], "cron": "@daily"}
    assert summary.items() <= scheduled.items()
    assert JOB.items() <= scheduled.items()


INNER = {"name": "i", "image": "busybox"}


@pytest.mark.covers("TaskResponse.parallel", "TaskResponse.each", "TaskResponse.subjob")
@pytest.mark.parametrize(
    ("block", "progress"),
    [
        ({"parallel": {"tasks": [INNER]}}, {"completions": 3}),
        (
            {"each": {"list": "1..5", "var": "n", "concurrency": 2, "task": INNER}},
            {"size": 5, "completions": 3, "index": 4},
        ),
        ({"subjob": {"name": "s", "tasks": [INNER], "detached": True}}, {"id": "sub"}),
    ],
    ids=["parallel", "each", "subjob"],
)
def test_composite_has_its_progress(
    client: FlaskClient, database: FlakyDatabase, block: dict[str, Any], progress: dict[str, Any]
) -> None:
    job = document(client.post("/jobs", json={"name": "j", "tasks": [INNER]}))
    definition = parse_task(json.dumps({"name": "c"} | block).encode(), "application/json")
    [run] = tasks_of(database, job["id"])
    values = {"size": 5, "completions": 3, "started_children": 4, "subjob_id": "sub"}
    change(database, run, definition=definition, **values)

    task = document(client.get(f"/tasks/{run.id}"))

    [(kind, given)] = block.items()
    assert (given | progress).items() <= task[kind].items()


def test_text_outside_ascii_is_encoded_as_utf8(client: FlaskClient) -> None:
    response = client.post("/jobs", json={"name": "größer", "tasks": [INNER]})

    assert '"name":"größer"'.encode() in response.data
