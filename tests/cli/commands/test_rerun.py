"""`tork-celery rerun` makes a new job of the file of a job."""

import json

import pytest
import yaml

from tests.cli.conftest import Command
from tests.cli.stub_api import StubApi

JOB_ID = "0123456789abcdef0123456789abcdef"
NEW_ID = "f" * 32
JOB = {
    "id": JOB_ID,
    "name": "a job",
    "state": "FAILED",
    "createdAt": "2026-11-25T08:00:00Z",
    "tasks": [{"name": "t", "image": "busybox"}],
    "permissions": [{"user": {"username": "ada"}}, {"role": {"slug": "ops"}}],
    "context": {"secrets": {"key": "[REDACTED]"}},
    "execution": [],
}


@pytest.fixture(autouse=True)
def _job(stub: StubApi) -> None:
    stub.responses = {
        f"GET /jobs/{JOB_ID}": [(200, JOB)],
        f"POST /jobs/{JOB_ID}/rerun": [(200, {"id": NEW_ID, "rerunOf": JOB_ID})],
    }


def test_new_job_has_other_inputs_and_secrets(stub: StubApi, tork: Command) -> None:
    done = tork("rerun", JOB_ID, "--input", "size=3", "--secret", "key=s3cret")

    assert done == (0, f"{NEW_ID}\n", "")
    assert json.loads(stub.requests[-1][2]) == {"inputs": {"size": "3"}, "secrets": {"key": "s3cret"}}


def test_file_is_edited(stub: StubApi, tork: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "click.edit", lambda text, extension: text.replace("a job", "another") + f"# {extension}"
    )

    assert tork("rerun", JOB_ID, "--edit")[0] == 0

    assert yaml.safe_load(json.loads(stub.requests[-1][2])["file"]) == {
        "name": "another",
        "tasks": [{"name": "t", "image": "busybox"}],
        "permissions": [{"user": "ada"}, {"role": "ops"}],
        "secrets": {"key": "[REDACTED]"},
    }


def test_file_that_is_not_saved_makes_no_job(
    stub: StubApi, tork: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("click.edit", lambda _text, extension: extension and None)

    assert tork("rerun", JOB_ID, "--edit")[0] == 130
    assert [request for request, _, _ in stub.requests] == [f"GET /jobs/{JOB_ID}"]
