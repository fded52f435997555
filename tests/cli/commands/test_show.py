"""`tork-celery show` prints the tasks of a job as a tree."""

from typing import Any

import pytest

from tests.cli.conftest import Command
from tests.cli.stub_api import StubApi
from tork_celery.cli.job_tree import lines

JOB_ID = "0123456789abcdef0123456789abcdef"


def task(id_: str, state: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "name": id_,
        "state": state,
        "position": 1,
        "createdAt": "2026-11-25T08:00:00Z",
        **fields,
    }


TASKS = [
    task("build", "COMPLETED", startedAt="2026-11-25T08:00:03Z", completedAt="2026-11-25T08:00:05.500Z")
    | {"scheduledAt": "2026-11-25T08:00:00Z", "queue": "default"},
    task("each", "FAILED", position=2),
    task("child", "FAILED", position=2, parentId="each", error="exit code 3: first\nsecond"),
    task("again", "CANCELLED", position=2, parentId="each", retry={"limit": 2, "attempts": 1}),
]
JOB = {
    "id": JOB_ID,
    "name": "a job",
    "state": "FAILED",
    "createdAt": "2026-11-25T08:00:00Z",
    "createdBy": {"username": "ada"},
    "error": "exit code 3: first\nsecond",
    "tasks": [{"name": "build"}, {"name": "each"}, {"name": "deploy"}],
    "execution": TASKS,
}


@pytest.fixture(autouse=True)
def _job(stub: StubApi) -> None:
    stub.responses = {f"GET /jobs/{JOB_ID}": [(200, JOB)]}


def test_tree_has_states_times_waits_and_errors(tork: Command) -> None:
    code, printed, errors = tork("show", JOB_ID)

    shown = printed.splitlines()
    assert (code, errors) == (0, "")
    assert shown[0].split() == ["a", "job", "FAILED"]
    assert shown[1].split() == ["id", JOB_ID]
    assert shown[2].startswith("submitted    2026-11-25T08:00:00Z")
    assert shown[2].endswith("ago by ada")
    tree = [" ".join(line.split()) for line in shown[4:9]]
    assert tree == [
        "├ ✔ build COMPLETED 2.5s waited 3.0s",
        "├ ✘ each FAILED",
        "│ ├ ✘ child FAILED exit code 3: first",
        "│ └ ■ again CANCELLED attempt 2",
        "└ ○ deploy",
    ]
    assert printed.endswith("\nchild: exit code 3: first\nsecond\n")


def test_definition_is_the_file_without_the_run(tork: Command) -> None:
    code, printed, _ = tork("show", JOB_ID, "--definition")

    assert code == 0
    assert '"tasks"' in printed
    assert JOB_ID not in printed
    assert "execution" not in printed


def test_long_list_of_children_shows_the_important_ones() -> None:
    children = [task(f"c{number}", "COMPLETED", parentId="p") for number in range(100)]
    children[50] |= {"state": "RUNNING"}
    job = {"execution": [task("p", "RUNNING"), *children]}

    shown = lines(job, whole=False)

    assert len(shown) == 22
    assert any(line.task.get("id") == "c50" for line in shown)
    assert shown[-1].omitted == {"COMPLETED": 80}
    assert len(lines(job)) == 101
