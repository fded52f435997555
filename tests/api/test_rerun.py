"""A job runs again as a new one."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.api.documents import document

JOB = {
    "name": "report of {{ inputs.month }}",
    "inputs": {"month": "2026-09"},
    "secrets": {"key": "s3cr3t-word"},
    "tasks": [{"name": "t", "image": "busybox", "env": {"KEY": "{{ secrets.key }}"}}],
}

Submit = Callable[..., Any]


@pytest.mark.covers("JobSummary.rerunOf")
def test_job_runs_again_with_other_inputs(client: FlaskClient, submit: Submit) -> None:
    first = submit("/jobs", JOB)

    second = submit(f"/jobs/{first['id']}/rerun", {"inputs": {"month": "2026-10"}})

    assert second["rerunOf"] == first["id"]
    assert second["id"] != first["id"]
    whole = document(client.get(f"/jobs/{second['id']}"))
    assert whole["inputs"] == {"month": "2026-10"}
    assert whole["rerunOf"] == first["id"]
    assert whole["secrets"] == {"key": "[REDACTED]"}


def test_body_is_optional(client: FlaskClient, submit: Submit) -> None:
    first = submit("/jobs", JOB)

    response = client.post(f"/jobs/{first['id']}/rerun")

    assert document(response)["inputs"] == JOB["inputs"]


def test_file_is_checked_as_a_submitted_one(client: FlaskClient, submit: Submit) -> None:
    path = f"/jobs/{submit('/jobs', JOB)['id']}/rerun"

    response = client.post(path, json={"file": "name: x\ntasks:\n  - name: t\n    imagee: i\n"})
    assert response.status_code == 400
    assert "did you mean `image`" in document(response)["message"]
    assert client.post(path, json={"file": "name: x\ntasks: [{name: t, image: i}]"}).status_code == 200
    assert client.post(path, json={"files": "x"}).status_code == 400
    assert client.post("/jobs/x/rerun").status_code == 404


def test_repeated_request_makes_one_job(client: FlaskClient, submit: Submit) -> None:
    path = f"/jobs/{submit('/jobs', JOB)['id']}/rerun"

    ids = {document(client.post(path, headers={"Idempotency-Key": "k"}))["id"] for _ in range(2)}

    assert len(ids) == 1
