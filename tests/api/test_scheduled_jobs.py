"""Scheduled jobs through the API."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

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
    "ScheduledJobAnswer.tasks",
    "ScheduledJobAnswer.secrets",
)
def test_one_is_made_and_read(client: FlaskClient, submit: Submit) -> None:
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
    whole = client.get(f"/scheduled-jobs/{schedule['id']}").json
    assert whole["secrets"] == {"key": "[REDACTED]"}
    assert whole["tasks"][0]["env"] == {"A": "[REDACTED]"}


@pytest.mark.covers(
    "ScheduledJobPage.items",
    "ScheduledJobPage.number",
    "ScheduledJobPage.size",
    "ScheduledJobPage.totalPages",
    "ScheduledJobPage.totalItems",
)
def test_they_are_listed_the_newest_first(client: FlaskClient, submit: Submit) -> None:
    ids = [submit("/scheduled-jobs", JOB)["id"] for _ in range(3)]

    page = client.get("/scheduled-jobs?page=1&size=2").json

    assert [item["id"] for item in page["items"]] == [ids[2], ids[1]]
    assert {key: page[key] for key in ("number", "size", "totalPages", "totalItems")} == {
        "number": 1,
        "size": 2,
        "totalPages": 2,
        "totalItems": 3,
    }
    assert client.get("/jobs").json["totalItems"] == 0


def test_one_is_paused_resumed_and_removed(client: FlaskClient, submit: Submit) -> None:
    path = f"/scheduled-jobs/{submit('/scheduled-jobs', JOB)['id']}"

    for ask, state in ((client.put, "pause"), (client.put, "resume")):
        assert ask(f"{path}/{state}").json == {"status": "OK"}
        assert client.get(path).json["state"] == {"pause": "PAUSED", "resume": "ACTIVE"}[state]
        assert client.put(f"{path}/{state}").status_code == 400
    assert client.delete(path).json == {"status": "OK"}
    for answer in (client.get(path), client.put(f"{path}/pause"), client.delete(path)):
        assert answer.status_code == 404
        assert answer.json["message"].startswith("there is no scheduled job")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schedule": None}, "schedule: required"),
        ({"schedule": {}}, "schedule.cron: required"),
        ({"schedule": "@daily"}, "schedule: expected a mapping"),
        (
            {"schedule": {"cron": "61 * * * *"}},
            "schedule.cron: '61 * * * *' is no cron expression: bad minute",
        ),
        ({"schedule": {"cron": "@often"}}, "schedule.cron: '@often' is not known"),
        ({"schedule": {"cron": 5}}, "schedule.cron: expected a string"),
        ({"schedule": {"cron": "* * * * *", "id": "x"}}, "schedule.id: unknown key"),
        ({"wait": {"timeout": "1s"}}, "wait: nobody waits for a scheduled job"),
        ({"tasks": []}, "tasks: "),
        ({"permissions": [{"user": "bob"}]}, "permissions[0].user: there is no user 'bob'"),
    ],
)
def test_bad_input_is_refused_with_its_place(client: FlaskClient, change: dict[str, Any], said: str) -> None:
    answer = client.post("/scheduled-jobs", json=JOB | change)

    assert answer.status_code == 400, answer.text
    assert said in answer.json["message"]
    assert client.get("/scheduled-jobs").json["totalItems"] == 0


def test_a_job_that_is_submitted_has_no_schedule(client: FlaskClient) -> None:
    answer = client.post("/jobs", json=JOB)

    assert answer.status_code == 400
    assert "schedule: unknown key" in answer.json["message"]
