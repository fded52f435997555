"""What was submitted and what became of it is all in the answers."""

import json
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

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
    "tags": ["slow"],
    "priority": 3,
}
GIVEN: dict[str, Any] = {
    "name": "j",
    "description": "d",
    "tags": ["t"],
    "inputs": {"a": "b"},
    "output": "{{ 1 }}",
    "autoDelete": {"after": "1h"},
}
HIDDEN: dict[str, Any] = {
    "secrets": {"key": "s3cr3t"},
    "defaults": {"priority": 3, "timeout": "1m"},
    "webhooks": [{"url": "http://localhost/x", "headers": {"A": "b"}, "event": "job.Progress", "if": "true"}],
}
JOB: dict[str, Any] = {
    **GIVEN,
    **HIDDEN,
    "tasks": [
        TASK
        | {
            "registry": {"username": "u", "password": "p4ssw0rd"},
            "retry": {"limit": 2, "initialDelay": "1s", "scalingFactor": 3.0, "maxDelay": "1m"},
        }
    ],
}


@pytest.fixture
def job_id(client: FlaskClient) -> str:
    return str(client.post("/jobs", json=JOB).json["id"])


def end(database: FlakyDatabase, job_id: str, state: JobState) -> None:
    """The job has ended, with all that a job can have."""
    job = job_now(database, job_id)
    definition = replace(job.definition, schedule=Schedule(id="s", cron="@daily"))
    summary = jobs._summary(replace(job, definition=definition))
    row = {"summary": summary, "created_by": "mia", "parent_id": "p"}
    ended = replace(
        job, state=state, created_by="mia", parent_id="p", started_at=1.0, ended_at=2.0, delete_at=9.0
    )
    with database.transaction() as tx:
        tx.execute(update(store_tables.jobs).where(store_tables.jobs.c.id == job_id).values(row))
        jobs.save(tx, replace(ended, result="r", error="e", progress=50.0))


@pytest.mark.covers(
    "JobSummary.id",
    "JobSummary.name",
    "JobSummary.state",
    "JobSummary.createdAt",
    "JobSummary.position",
    "JobSummary.createdBy",
    "JobSummary.parentId",
    "JobSummary.inputs",
    "JobSummary.description",
    "JobSummary.tags",
    "JobSummary.startedAt",
    "JobSummary.completedAt",
    "JobSummary.failedAt",
    "JobSummary.taskCount",
    "JobSummary.result",
    "JobSummary.error",
    "JobSummary.progress",
    "JobSummary.schedule",
)
@pytest.mark.parametrize(
    ("state", "at"), [(JobState.COMPLETED, "completedAt"), (JobState.FAILED, "failedAt")]
)
def test_a_job_in_a_list_has_all_of_a_summary(
    client: FlaskClient, database: FlakyDatabase, job_id: str, state: JobState, at: str
) -> None:
    end(database, job_id, state)

    [summary] = client.get("/jobs").json["items"]

    assert summary.pop("createdAt")
    assert summary == {
        "id": job_id,
        "createdBy": {"username": "mia"},
        "parentId": "p",
        "inputs": GIVEN["inputs"],
        "name": "j",
        "description": "d",
        "tags": ["t"],
        "state": state,
        "startedAt": "1970-01-01T00:00:01.000Z",
        at: "1970-01-01T00:00:02.000Z",
        "position": 2 if state is JobState.COMPLETED else 1,
        "taskCount": 1,
        "result": "r",
        "error": "e",
        "progress": 50.0,
        "schedule": {"id": "s", "cron": "@daily"},
    }


def test_a_job_that_is_done_is_past_its_last_task(
    client: FlaskClient, database: FlakyDatabase, job_id: str
) -> None:
    end(database, job_id, JobState.COMPLETED)

    found = client.get(f"/jobs/{job_id}").json

    assert (found["position"], found["taskCount"]) == (2, 1)


@pytest.mark.covers(
    "JobAnswer.tasks",
    "JobAnswer.execution",
    "JobAnswer.context",
    "JobAnswer.output",
    "JobAnswer.defaults",
    "JobAnswer.webhooks",
    "JobAnswer.autoDelete",
    "JobAnswer.deleteAt",
    "JobAnswer.secrets",
)
def test_a_whole_job_has_its_summary_and_all_that_was_given(
    client: FlaskClient, database: FlakyDatabase, job_id: str
) -> None:
    end(database, job_id, JobState.FAILED)
    [summary] = client.get("/jobs").json["items"]

    whole = client.get(f"/jobs/{job_id}").json

    del summary["schedule"]  # only the list's copy was changed
    assert summary.items() <= whole.items()
    assert GIVEN.items() <= whole.items()
    assert whole["secrets"] == {"key": "[REDACTED]"}
    assert (whole["defaults"], whole["webhooks"]) == (HIDDEN["defaults"], HIDDEN["webhooks"])
    assert whole["deleteAt"] == "1970-01-01T00:00:09.000Z"
    assert TASK.items() <= whole["tasks"][0].items()
    assert [run["name"] for run in whole["execution"]] == ["t"]
    assert whole["context"]["inputs"] == GIVEN["inputs"]


@pytest.mark.covers(
    "TaskAnswer.id",
    "TaskAnswer.jobId",
    "TaskAnswer.position",
    "TaskAnswer.state",
    "TaskAnswer.createdAt",
    "TaskAnswer.parentId",
    "TaskAnswer.name",
    "TaskAnswer.description",
    "TaskAnswer.scheduledAt",
    "TaskAnswer.startedAt",
    "TaskAnswer.completedAt",
    "TaskAnswer.failedAt",
    "TaskAnswer.cmd",
    "TaskAnswer.entrypoint",
    "TaskAnswer.run",
    "TaskAnswer.image",
    "TaskAnswer.registry",
    "TaskAnswer.env",
    "TaskAnswer.files",
    "TaskAnswer.queue",
    "TaskAnswer.redelivered",
    "TaskAnswer.error",
    "TaskAnswer.pre",
    "TaskAnswer.post",
    "TaskAnswer.sidecars",
    "TaskAnswer.mounts",
    "TaskAnswer.volumes",
    "TaskAnswer.networks",
    "TaskAnswer.nodeId",
    "TaskAnswer.retry",
    "TaskAnswer.limits",
    "TaskAnswer.timeout",
    "TaskAnswer.result",
    "TaskAnswer.var",
    "TaskAnswer.if",
    "TaskAnswer.gpus",
    "TaskAnswer.tags",
    "TaskAnswer.workdir",
    "TaskAnswer.priority",
    "TaskAnswer.progress",
    "Task.tags",
    "Step.description",
    "Step.cmd",
)
@pytest.mark.parametrize(
    ("state", "at"), [(TaskState.COMPLETED, "completedAt"), (TaskState.FAILED, "failedAt")]
)
def test_a_task_has_all_that_was_given_and_what_became_of_it(
    client: FlaskClient, database: FlakyDatabase, job_id: str, state: TaskState, at: str
) -> None:
    [run] = tasks_of(database, job_id)
    became = {
        "scheduled_at": 0.5,
        "started_at": 1.0,
        "ended_at": 2.0,
        "node": "n@here",
        "losses": 2,
        "result": "r",
        "error": "e",
        "progress": 5.0,
        "parent_id": "p",
        "attempts": 1,
    }
    change(database, run, state=state, **became)

    found = client.get(f"/tasks/{run.id}").json

    assert TASK.items() <= found.items()
    assert found["registry"] == {"username": "u", "password": "[REDACTED]"}
    assert found["retry"] == JOB["tasks"][0]["retry"] | {"attempts": 1}
    assert found["createdAt"]
    assert {
        "id": run.id,
        "jobId": job_id,
        "parentId": "p",
        "position": 1,
        "state": state,
        "scheduledAt": "1970-01-01T00:00:00.500Z",
        "startedAt": "1970-01-01T00:00:01.000Z",
        at: "1970-01-01T00:00:02.000Z",
        "nodeId": "n@here",
        "redelivered": 2,
        "result": "r",
        "error": "e",
        "progress": 5.0,
    }.items() <= found.items()


@pytest.mark.covers("JobAnswer.permissions", "ScheduledJobAnswer.permissions")
def test_a_job_shows_whom_it_is_for(client: FlaskClient, database: FlakyDatabase) -> None:
    users.add(database, NewUser(username="mia", password="s3cr3t"))
    permissions = [{"user": "mia"}, {"role": "public"}]
    job = client.post("/jobs", json=JOB | {"permissions": permissions}).json
    scheduled = client.post(
        "/scheduled-jobs", json=JOB | {"permissions": permissions, "schedule": {"cron": "@daily"}}
    ).json

    shown = [{"user": {"username": "mia"}}, {"role": {"slug": "public"}}]
    assert client.get(f"/jobs/{job['id']}").json["permissions"] == shown
    assert client.get(f"/scheduled-jobs/{scheduled['id']}").json["permissions"] == shown


@pytest.mark.covers(
    "ScheduledJobSummary.inputs",
    "ScheduledJobAnswer.autoDelete",
    "ScheduledJobAnswer.defaults",
    "ScheduledJobAnswer.output",
    "ScheduledJobAnswer.webhooks",
)
def test_a_scheduled_job_has_all_that_was_given(client: FlaskClient) -> None:
    summary = client.post("/scheduled-jobs", json=JOB | {"schedule": {"cron": "@daily"}}).json

    whole = client.get(f"/scheduled-jobs/{summary['id']}").json

    assert summary["inputs"] == GIVEN["inputs"]
    assert summary.items() <= whole.items()
    assert GIVEN.items() <= whole.items()
    assert (whole["defaults"], whole["webhooks"]) == (HIDDEN["defaults"], HIDDEN["webhooks"])


INNER = {"name": "i", "image": "busybox"}


@pytest.mark.covers("TaskAnswer.parallel", "TaskAnswer.each", "TaskAnswer.subjob")
@pytest.mark.parametrize(
    ("block", "stands"),
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
def test_a_composite_says_where_it_stands(
    client: FlaskClient, database: FlakyDatabase, block: dict[str, Any], stands: dict[str, Any]
) -> None:
    job = client.post("/jobs", json={"name": "j", "tasks": [INNER]}).json
    definition = parse_task(json.dumps({"name": "c"} | block).encode(), "application/json")
    [run] = tasks_of(database, job["id"])
    values = {"size": 5, "completions": 3, "started_children": 4, "subjob_id": "sub"}
    change(database, run, definition=definition, **values)

    found = client.get(f"/tasks/{run.id}").json

    [(kind, given)] = block.items()
    assert (given | stands).items() <= found[kind].items()
