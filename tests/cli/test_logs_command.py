"""`tork-celery logs` prints lines, whatever the parts are that the API has."""

from typing import Any

import pytest

from tests.cli.conftest import Command
from tests.cli.stub_api import StubApi, page
from tork_celery.cli.log_lines import for_terminal

JOB_ID = "0123456789abcdef0123456789abcdef"
FIRST, SECOND = "a" * 32, "b" * 32


def part(task_id: str, number: int, contents: str, **fields: Any) -> dict[str, Any]:
    part_id = f"{task_id}-{number}"
    times = {"createdAt": "2026-11-25T08:00:00.000Z"}
    return {"id": part_id, "number": number, "taskId": task_id, "contents": contents, **times, **fields}


@pytest.fixture(autouse=True)
def _job(stub: StubApi) -> None:
    first = {"id": FIRST, "name": "one", "state": "FAILED", "position": 1}
    second = {"id": SECOND, "name": "second", "state": "COMPLETED", "position": 2, "var": "two"}
    job = {"id": JOB_ID, "name": "j", "state": "FAILED", "execution": [first, second]}
    newest_first = [
        part(SECOND, 2, "d\nlast", step=1, stepName="post", times=[1500, 2000]),
        part(SECOND, 1, "c", step=0, stepName="main"),
        part(FIRST, 1, "a\nb\n", step=0, stepName="main"),
    ]
    stub.responses = {
        f"GET /jobs/{JOB_ID}": [(200, job)],
        f"GET /jobs/{JOB_ID}/log": [(200, page(*newest_first))],
    }


def test_lines_have_the_name_of_their_task(tork: Command) -> None:
    assert tork("logs", JOB_ID) == (0, "one | a\none | b\nsecond | cd\nsecond | last\n", "")


@pytest.mark.parametrize("task", ["second", "two", SECOND, SECOND[:6]])
def test_one_task_is_chosen_by_name_var_or_id(tork: Command, task: str) -> None:
    assert tork("logs", JOB_ID, task)[1] == "cd\nlast\n"


@pytest.mark.parametrize(
    ("options", "printed"),
    [
        (["--no-prefix"], "a\nb\ncd\nlast\n"),
        (["--failed"], "a\nb\n"),
        (["--grep", "[bd]$"], "one | b\nsecond | cd\n"),
        (["--step", "post", "--no-prefix"], "d\nlast\n"),
        (["--step", "1", "--no-prefix"], "d\nlast\n"),
        (["--tail", "2", "--no-prefix"], "cd\nlast\n"),
        (["--tail", "0"], ""),
        (["-f", "--no-prefix"], "a\nb\ncd\nlast\n"),
    ],
)
def test_option_selects_lines(tork: Command, options: list[str], printed: str) -> None:
    assert tork("logs", JOB_ID, *options) == (0, printed, "")


def test_following_goes_on_when_the_api_is_back(stub: StubApi, tork: Command) -> None:
    path = f"GET /jobs/{JOB_ID}"
    stub.responses[path] = [*stub.responses[path], (0, None), (0, None), *stub.responses[path]]

    code, printed, errors = tork("logs", JOB_ID, "-f", "--no-prefix")

    assert (code, printed) == (0, "a\nb\ncd\nlast\n")
    assert errors.count("trying again until the API answers") == 1


def test_timestamps_are_those_of_the_lines(tork: Command) -> None:
    code, printed, _ = tork("logs", JOB_ID, "second", "-t")

    assert code == 0
    assert printed == "2026-11-25T08:00:00.000Z cd\n2026-11-25T08:00:01.500Z last\n"


def test_unknown_task_is_not_found(tork: Command) -> None:
    code, printed, errors = tork("logs", JOB_ID, "third")

    assert (code, printed) == (5, "")
    assert "its tasks are: one, second" in errors


def test_attempt_that_does_not_exist_is_not_found(tork: Command) -> None:
    assert tork("logs", JOB_ID, "second", "--attempt", "2")[0] == 5
    assert tork("logs", JOB_ID, "second", "--attempt", "1")[1] == "cd\nlast\n"
    assert tork("logs", JOB_ID, "--attempt", "1")[0] == 2


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("10 %\r50 %\r100 %", "100 %"),
        ("10 %\r100 %\r", "100 %"),
        ("a\x1b[2Jb\x1b]0;title\x07c\x07", "abc"),
        ("\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m\x1b[0m"),
        ("a\tb", "a\tb"),
    ],
)
def test_line_is_shown_as_a_terminal_would(printed: str, shown: str) -> None:
    assert for_terminal(printed) == shown
