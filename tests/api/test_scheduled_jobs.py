"""Routes of scheduled jobs."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.api.documents import document

JOB = {
    "name": "nightly",
    "description": "at night",
    "tags": ["a"],
    "secrets": {"key": "s3cret"},
    "schedule": {"cron": "30 4 * * 1-5"},
    "tasks": [{"name": "say hello", "image": "busybox", "run": "echo hello", "env": {"A": "s3cret"}}],
}

Submit = Callable[..., Any]


@pytest.mark.covers(
    "Schedule.cron",
    "ScheduledJob.schedule",
    "ScheduledJobSummary.id",
    "ScheduledJobSummary.name",
    "ScheduledJobSummary.state",
    "ScheduledJobSummary.cron",
    "ScheduledJobSummary.schedule",
    "ScheduledJobSummary.createdAt",
    "ScheduledJobSummary.description",
    "ScheduledJobSummary.tags",
    "ScheduledJobSummary.nextRunAt",
    "ScheduledJobResponse.tasks",
    "ScheduledJobResponse.secrets",
)
def test_schedule_is_created_and_shown(client: FlaskClient, submit: Submit) -> None:
    summary = submit("/scheduled-jobs", JOB)

    assert len(summary.pop("id")) == 32
    assert summary.pop("nextRunAt").endswith("T04:30:00.000Z")
    assert summary.pop("createdAt")
    schedule = summary.pop("schedule")
    assert schedule["cron"] == "30 4 * * 1-5"
    assert summary == {
        "name": "nightly",
        "description": "at night",
        "tags": ["a"],
        "state": "ACTIVE",
        "cron": "30 4 * * 1-5",
    }
    whole = document(client.get(f"/scheduled-jobs/{schedule['id']}"))
    assert whole["secrets"] == {"key": "[REDACTED]"}
    assert whole["tasks"][0]["env"] == {"A": "[REDACTED]"}


@pytest.mark.covers(
    "ScheduledJobPage.items",
    "ScheduledJobPage.number",
    "ScheduledJobPage.size",
    "ScheduledJobPage.totalPages",
    "ScheduledJobPage.totalItems",
)
def test_schedules_are_listed_newest_first(client: FlaskClient, submit: Submit) -> None:
    ids = [submit("/scheduled-jobs", JOB)["id"] for _ in range(3)]

    page = document(client.get("/scheduled-jobs?page=1&size=2"))

    assert [item["id"] for item in page["items"]] == [ids[2], ids[1]]
    assert {key: page[key] for key in ("number", "size", "totalPages", "totalItems")} == {
        "number": 1,
        "size": 2,
        "totalPages": 2,
        "totalItems": 3,
    }
    assert document(client.get("/jobs"))["totalItems"] == 0


def test_schedule_is_paused_resumed_and_deleted(client: FlaskClient, submit: Submit) -> None:
    path = f"/scheduled-jobs/{submit('/scheduled-jobs', JOB)['id']}"

    for action, state in (("pause", "PAUSED"), ("resume", "ACTIVE")):
        assert document(client.put(f"{path}/{action}")) == {"status": "OK"}
        assert document(client.get(path))["state"] == state
        assert client.put(f"{path}/{action}").status_code == 400
    assert document(client.delete(path)) == {"status": "OK"}
    for response in (client.get(path), client.put(f"{path}/pause"), client.delete(path)):
        assert response.status_code == 404
        assert document(response)["message"].startswith("no scheduled job with the id")


LIMITS = {"timezone": "Europe/Berlin", "catchUp": "last", "within": "24h", "overlap": "skip"}


@pytest.mark.covers(
    "Schedule.timezone",
    "ScheduleOfJobs.timezone",
    "ScheduleOfJobs.catchUp",
    "ScheduleOfJobs.within",
    "ScheduleOfJobs.overlap",
)
def test_keys_of_a_schedule_are_shown(client: FlaskClient, submit: Submit) -> None:
    schedule = JOB["schedule"] | LIMITS  # type: ignore[operator]

    summary = submit("/scheduled-jobs", JOB | {"schedule": schedule})

    assert summary["schedule"] == schedule | {"id": summary["id"]}
    assert summary["nextRunAt"][11:] in ("02:30:00.000Z", "03:30:00.000Z")
    assert document(client.get(f"/scheduled-jobs/{summary['id']}"))["schedule"] == summary["schedule"]


@pytest.mark.covers(
    "JobResponse.timeout",
    "JobResponse.concurrency",
    "ScheduledJobResponse.timeout",
    "ScheduledJobResponse.concurrency",
)
def test_limits_of_a_job_are_shown(client: FlaskClient, submit: Submit) -> None:
    limits = {"timeout": "1h", "concurrency": {"key": "k", "limit": 2, "policy": "reject"}}
    job = {key: value for key, value in JOB.items() if key != "schedule"}

    shown = [
        document(client.get(f"/jobs/{submit('/jobs', job | limits)['id']}")),
        document(client.get(f"/scheduled-jobs/{submit('/scheduled-jobs', JOB | limits)['id']}")),
    ]

    assert [{key: each[key] for key in limits} for each in shown] == [limits, limits]


@pytest.mark.covers("Error.jobs")
def test_schedule_is_run_now(client: FlaskClient, submit: Submit) -> None:
    schedule_id = submit("/scheduled-jobs", JOB | {"schedule": {"cron": "@yearly", "overlap": "skip"}})["id"]

    job = document(client.post(f"/scheduled-jobs/{schedule_id}/run"))

    assert (job["name"], job["state"], job["schedule"]["id"]) == ("nightly", "SCHEDULED", schedule_id)
    refused = client.post(f"/scheduled-jobs/{schedule_id}/run")
    assert refused.status_code == 409
    assert document(refused)["jobs"] == [job["id"]]
    assert client.post("/scheduled-jobs/x/run").status_code == 404


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"schedule": {"cron": "@daily", "timezone": "Mars/Base"}},
            "schedule.timezone: 'Mars/Base' is not a",
        ),
        (
            {"schedule": {"cron": "CRON_TZ=UTC @daily", "timezone": "UTC"}},
            "schedule.timezone: `cron` begins with a time zone too",
        ),
        (
            {"schedule": {"cron": "@daily", "catchUp": "some"}},
            "schedule.catchUp: expected one of none, last, all",
        ),
        (
            {"schedule": {"cron": "@daily", "within": "1h"}},
            "schedule.within: it has no effect without `catchUp`",
        ),
        (
            {"schedule": {"cron": "@daily", "overlap": "queue"}, "concurrency": {"key": "k"}},
            "concurrency: not allowed with this `overlap`",
        ),
        ({"concurrency": {"key": "{{ secrets.key }}"}}, "concurrency.key: must not use `secrets`"),
        ({"concurrency": {"key": "k", "limit": 0}}, "concurrency.limit: must be from 1 to 10000"),
        ({"concurrency": {"key": "k", "policy": "x"}}, "concurrency.policy: expected one of queue, reject"),
        ({"schedule": {"cron": "@daily", "overlap": "no"}}, "schedule.overlap: expected one of allow, skip"),
        ({"schedule": None}, "schedule: required"),
        ({"schedule": {}}, "schedule.cron: required"),
        ({"schedule": "@daily"}, "schedule: expected a mapping"),
        (
            {"schedule": {"cron": "61 * * * *"}},
            "schedule.cron: '61 * * * *' is not a cron expression: bad minute",
        ),
        ({"schedule": {"cron": "@often"}}, "schedule.cron: '@often' is unknown"),
        ({"schedule": {"cron": []}}, "schedule.cron: expected a string"),
        ({"schedule": {"cron": 5}}, "schedule.cron: '5' has 1 fields"),
        ({"schedule": {"cron": "* * * * *", "id": "x"}}, "schedule.id: unknown key"),
        ({"wait": {"timeout": "1s"}}, "wait: not allowed in a scheduled job"),
        ({"tasks": []}, "tasks: "),
        ({"permissions": [{"user": "bob"}]}, "permissions[0].user: no user named 'bob'"),
    ],
)
def test_invalid_schedule_is_rejected_with_its_path(
    client: FlaskClient, change: dict[str, Any], message: str
) -> None:
    response = client.post("/scheduled-jobs", json=JOB | change)

    assert response.status_code == 400, response.text
    assert message in document(response)["message"]
    assert document(client.get("/scheduled-jobs"))["totalItems"] == 0


def test_submitted_job_must_not_have_a_schedule(client: FlaskClient) -> None:
    response = client.post("/jobs", json=JOB)

    assert response.status_code == 400
    assert "schedule: unknown key" in document(response)["message"]
