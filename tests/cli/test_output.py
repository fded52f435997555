"""Data is printed to stdout in the chosen format; on a terminal it keeps to the width."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

from tests.cli.conftest import Command
from tests.cli.stub_api import StubApi, page

JOBS = [
    {
        "id": digit * 32,
        "name": f"a job with a name of some length {digit}",
        "state": state,
        "createdAt": "2026-11-25T08:00:00Z",
        "error": "exit code 1: \x1b[31mred\nnext",
    }
    for digit, state in (("a", "FAILED"), ("b", "COMPLETED"))
]


@pytest.fixture(autouse=True)
def _jobs(stub: StubApi) -> None:
    stub.responses = {"GET /jobs": [(200, page(*JOBS))]}


def test_table_without_a_terminal_is_whole_and_plain(tork: Command) -> None:
    code, printed, errors = tork("jobs")

    header, first, second = printed.splitlines()
    assert (code, errors) == (0, "")
    assert header.split() == ["ID", "STATE", "AGE", "TIME", "DONE", "NAME", "ERROR"]
    assert first.startswith("a" * 32 + "  FAILED")
    assert first.endswith(r"a job with a name of some length a  exit code 1: \x1b[31mred\nnext")
    assert second == second.rstrip()
    assert "\x1b" not in printed


def test_json_is_one_array(tork: Command) -> None:
    assert json.loads(tork("jobs", "-o", "json")[1]) == JOBS


def test_jsonl_is_an_object_a_line(tork: Command) -> None:
    assert [json.loads(line) for line in tork("-o", "jsonl", "jobs")[1].splitlines()] == JOBS


def test_name_is_an_id_a_line(tork: Command) -> None:
    assert tork("jobs", "--output", "name")[1].splitlines() == ["a" * 32, "b" * 32]


def test_key_is_sent(stub: StubApi, tork: Command) -> None:
    tork("--key", "tork_1", "jobs")

    assert stub.headers[0]["Authorization"] == "Bearer tork_1"


def test_url_may_stand_before_or_after_the_command(
    stub: StubApi, tork: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORK_URL", "http://127.0.0.1:1")

    assert tork("--url", stub.url, "jobs")[0] == 0
    assert tork("jobs", "--url", stub.url)[0] == 0
    assert tork("jobs")[0] == 6


def in_terminal(stub: StubApi, *arguments: str, columns: int, **environment: str) -> str:
    """Return what a command prints to a terminal of this width."""
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    variables = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "NO_COLOR")}
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "tork_celery.cli", *arguments],
            stdin=end,
            stdout=end,
            stderr=subprocess.PIPE,
            env={**variables, "TERM": "xterm-256color", "TORK_URL": stub.url, **environment},
        )
        _, errors = process.communicate(timeout=60)
        assert errors == b""
        os.set_blocking(terminal, False)
        return os.read(terminal, 1 << 20).decode().replace("\r\n", "\n")
    finally:
        os.close(terminal)
        os.close(end)


def test_table_keeps_to_the_width_of_a_terminal(stub: StubApi) -> None:
    printed = in_terminal(stub, "jobs", "--no-color", columns=80)

    lines = re.sub(r"\x1b\[[0-9;]*m", "", printed).splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[:2] for line in lines[1:]] == [["a" * 12, "FAILED"], ["b" * 12, "COMPLETED"]]
    assert "…" in printed


@pytest.mark.parametrize(
    ("arguments", "environment", "colored"),
    [([], {}, True), (["--no-color"], {}, False), ([], {"NO_COLOR": "1"}, False)],
)
def test_states_are_coloured_on_a_terminal_unless_refused(
    stub: StubApi, arguments: list[str], environment: dict[str, str], colored: bool
) -> None:
    printed = in_terminal(stub, "jobs", *arguments, columns=120, **environment)

    assert ("\x1b[1;31mFAILED" in printed) is colored
    assert ("\x1b[32m" in printed) is colored
