"""Commands that list things, and actions on them."""

import json
from typing import Any

import pytest

from tests.cli.conftest import Command
from tests.cli.stub_api import StubApi, page

ID = "0123456789abcdef0123456789abcdef"
TIME = "2026-11-25T08:00:00Z"
NODE = {
    "id": ID,
    "name": "default@host",
    "status": "UP",
    "queue": "default",
    "taskCount": 1,
    "cpuPercent": 12.0,
    "startedAt": TIME,
    "lastHeartbeatAt": TIME,
    "version": "0.1.0",
}
LISTS: dict[str, tuple[str, Any]] = {
    "jobs": ("/jobs", page({"id": ID, "name": "j", "state": "RUNNING", "createdAt": TIME})),
    "tasks": ("/tasks", page({"id": ID, "name": "t", "state": "RUNNING", "createdAt": TIME})),
    "queues": ("/queues", [{"name": "default", "size": 1, "unacked": 2, "subscribers": 3}]),
    "nodes": ("/nodes", [NODE]),
    "schedules": (
        "/scheduled-jobs",
        page({"id": ID, "name": "s", "state": "ACTIVE", "cron": "* * * * *", "createdAt": TIME}),
    ),
}


@pytest.fixture(autouse=True)
def _lists(stub: StubApi) -> None:
    stub.responses = {f"GET {path}": [(200, document)] for path, document in LISTS.values()}
    stub.responses["GET /health"] = [(503, {"status": "DOWN", "down": {"broker": "no answer"}})]


@pytest.mark.parametrize("command", LISTS)
def test_list_is_printed_in_every_format(tork: Command, command: str) -> None:
    document = LISTS[command][1]
    items = document["items"] if isinstance(document, dict) else document
    name = items[0].get("id") if command not in ("queues", "nodes") else items[0]["name"]

    assert tork(command)[1].count("\n") == 2
    assert json.loads(tork(command, "-o", "json")[1]) == items
    assert json.loads(tork(command, "-o", "jsonl")[1]) == items[0]
    assert tork(command, "-o", "name")[1] == f"{name}\n"


def test_filters_of_jobs_are_sent(stub: StubApi, tork: Command) -> None:
    tork(
        "jobs", "-q", "video", "--state", "failed", "--tag", "two words", "--since", "2026-11-25T00:00+00:00"
    )

    request = stub.requests[0][0]
    assert "q=video+status%3AFAILED+tag%3A%22two+words%22" in request
    assert "since=2026-11-25T00%3A00%3A00%2B00%3A00" in request


def test_filters_of_tasks_are_sent(stub: StubApi, tork: Command) -> None:
    tork("tasks", "--state", "running", "--queue", "q", "--job", ID)

    assert stub.requests[0][0].endswith(f"state=RUNNING&queue=q&job={ID}")


def test_number_bounds_the_list(stub: StubApi, tork: Command) -> None:
    items = [
        {"id": f"{number:032}", "name": "j", "state": "RUNNING", "createdAt": TIME} for number in range(5)
    ]
    stub.responses["GET /jobs"] = [(200, page(*items))]

    assert len(tork("jobs", "-n", "3", "-o", "name")[1].splitlines()) == 3


def test_part_that_is_down_is_named(tork: Command) -> None:
    assert tork("health") == (6, "DOWN\nbroker: no answer\n", "")
    assert tork("health", "-o", "name")[1] == "DOWN\n"


def test_overview_is_printed_once_without_a_terminal(tork: Command) -> None:
    code, printed, _ = tork("top")

    assert code == 0
    for shown in ("DOWN", "default@host", "j\n"):
        assert shown in printed


def test_queue_is_purged(stub: StubApi, tork: Command) -> None:
    stub.responses["DELETE /queues/a%2Fb"] = [(200, {"status": "OK"})]

    assert tork("queues", "purge", "a/b") == (0, "", "purged the queue a/b\n")


def test_jobs_of_a_query_are_cancelled_after_a_question(stub: StubApi, tork: Command) -> None:
    stub.responses[f"PUT /jobs/{ID}/cancel"] = [(200, {"status": "OK"})]

    assert tork("cancel", "-q", "tag:x", "--yes")[:2] == (0, f"cancelled {ID}\n")
    assert tork("cancel")[0] == 2
    assert tork("cancel", ID, "-q", "tag:x")[0] == 2


def test_schedule_is_run_now(stub: StubApi, tork: Command) -> None:
    stub.responses[f"POST /scheduled-jobs/{ID}/run"] = [(200, {"id": "f" * 32})]

    assert tork("schedules", "run", ID)[:2] == (0, "f" * 32 + "\n")
