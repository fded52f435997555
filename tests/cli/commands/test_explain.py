"""`tork-celery explain` says what a task waits for, and what it did with its time."""

import json

import pytest

from tests.cli.conftest import Command
from tests.cli.stub_api import StubApi

JOB_ID = "0123456789abcdef0123456789abcdef"
TASK_ID, ENDED_ID = "a" * 32, "b" * 32
HALF = "2026-11-25T08:00:01.500Z"
EXPLANATION = {
    "state": "SCHEDULED",
    "reason": "no live worker serves its queue",
    "since": "2026-11-25T08:00:02Z",
    "details": {"cause": "no_worker"},
    "segments": [
        {
            "kind": "running",
            "from": "2026-11-25T08:00:00Z",
            "to": "2026-11-25T08:00:01.500Z",
            "reason": "on a",
        },
        {"kind": "between_steps", "from": HALF, "to": "2026-11-25T08:00:02Z"},
    ],
}


@pytest.fixture(autouse=True)
def _job(stub: StubApi) -> None:
    task = {"id": TASK_ID, "name": "build", "state": "SCHEDULED"}
    ended = {"id": ENDED_ID, "name": "fetch", "state": "COMPLETED"}
    stub.responses = {
        f"GET /jobs/{JOB_ID}": [(200, {"id": JOB_ID, "state": "RUNNING", "execution": [ended, task]})],
        f"GET /tasks/{TASK_ID}": [(200, task)],
        f"GET /tasks/{TASK_ID}/explain": [(200, EXPLANATION)],
    }


@pytest.mark.parametrize("id_", [JOB_ID, TASK_ID])
def test_reason_and_segments_are_printed(tork: Command, id_: str) -> None:
    code, printed, errors = tork("explain", id_)

    lines = [" ".join(line.split()) for line in printed.splitlines()]
    assert (code, errors) == (0, "")
    assert lines[0].startswith("build SCHEDULED for ")
    assert lines[1:4] == ["no live worker serves its queue", "running 1.5s on a", "between steps 500ms"]
    assert "fetch" not in printed


def test_explanation_is_printed_as_json(tork: Command) -> None:
    [shown] = json.loads(tork("explain", TASK_ID, "-o", "json")[1])

    assert shown == {"taskId": TASK_ID, "name": "build"} | EXPLANATION


def test_unknown_id_is_not_found(tork: Command) -> None:
    assert tork("explain", "c" * 32)[0] == 5
