"""`tork-celery run FILE` submits a job, waits for its end, and exits with a code that tells the outcome."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from tests.cli.stub_api import StubApi
from tests.serving import serving
from tork_celery.cli.main import main

TASK = "name: hello\nimage: busybox\nrun: echo hello\n"
JOB = "name: a job\ntasks:\n  - {name: hello, image: busybox, run: echo hello}\n"
JSON_JOB = '{"name": "a job", "tasks": [{"name": "hello", "image": "busybox"}]}'


@pytest.fixture
def stub() -> Iterator[StubApi]:
    with serving(StubApi()) as server:
        yield server


@dataclass
class Command:
    """Runs `tork-celery run` in this process."""

    directory: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def run(self, url: str, text: str, name: str = "job.yaml") -> tuple[int, str, str]:
        """Run a job file with this text; return the exit code, stdout and stderr."""
        file = self.directory / name
        file.write_text(text)
        self.monkeypatch.setattr("sys.argv", ["tork-celery", "run", str(file), "--url", url])
        with pytest.raises(SystemExit) as exited:
            main()
        output = self.capsys.readouterr()
        return int(exited.value.code or 0), output.out, output.err


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(tmp_path, monkeypatch, capsys)


def job_response(
    state: str, *, task: Mapping[str, str] = MappingProxyType({}), **fields: Any
) -> tuple[int, Any]:
    """Return the response for a job of one task in the same state; `task` are further fields of the task."""
    execution = [{"id": "t", "name": "hello", "state": state, **task}]
    return 200, {"id": "j", "name": "a job", "state": state, "execution": execution, **fields}


def test_result_of_a_task_is_printed(stub: StubApi, command: Command) -> None:
    stub.responses = {
        "POST /task": [(200, {"id": "t", "jobId": "j"})],
        "GET /jobs/j": [
            job_response("SCHEDULED"),
            job_response("RUNNING"),
            job_response("COMPLETED", task={"result": "hello\n"}),
        ],
    }

    code, printed, errors = command.run(stub.url, TASK)

    assert (code, printed) == (0, "hello\n")
    assert [line for line in errors.splitlines() if line.startswith("job")] == [
        "job j: SCHEDULED",
        "job j: RUNNING",
        "job j: COMPLETED",
    ]
    assert stub.requests[0] == ("POST /task", "text/yaml", TASK.encode())


@pytest.mark.parametrize(
    ("text", "name", "media_type"),
    [(JOB, "job.yaml", "text/yaml"), (JSON_JOB, "job.json", "application/json")],
)
def test_result_of_a_job_is_printed(
    stub: StubApi, command: Command, text: str, name: str, media_type: str
) -> None:
    stub.responses = {
        "POST /jobs": [(200, {"id": "j"})],
        "GET /jobs/j": [job_response("COMPLETED", result="the result")],
    }

    code, printed, _ = command.run(stub.url, text, name)

    assert (code, printed) == (0, "the result\n")
    assert stub.requests[0][:2] == ("POST /jobs", media_type)


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED"])
def test_failed_or_cancelled_job_exits_with_1(stub: StubApi, command: Command, state: str) -> None:
    stub.responses = {
        "POST /jobs": [(200, {"id": "j"})],
        "GET /jobs/j": [job_response("RUNNING"), job_response(state, error="exit code 1")],
    }

    code, printed, errors = command.run(stub.url, JOB)

    assert (code, printed) == (1, "")
    assert errors.endswith(f"{state}: exit code 1\n")


@pytest.mark.parametrize(
    ("status", "document", "expected"),
    [
        (400, {"message": "tasks: too many"}, "Error: tasks: too many"),
        (503, {"message": "the datastore is away"}, "Error: the server answered 503: the datastore is away"),
        (502, b"<h1>Bad gateway</h1>", "Error: the server answered 502: <h1>Bad gateway</h1>"),
        (404, b"", "Error: "),
        (400, [], "Error: []"),
    ],
)
def test_error_response_is_printed(
    stub: StubApi, command: Command, status: int, document: Any, expected: str
) -> None:
    stub.responses = {"POST /jobs": [(status, document)]}

    code, printed, errors = command.run(stub.url, JOB)

    assert (code, printed, errors.rstrip("\n")) == (1, "", expected.rstrip("\n"))


def test_unreachable_api_is_reported_with_a_hint(command: Command) -> None:
    code, _, errors = command.run("http://127.0.0.1:1", JOB)

    assert code == 1
    assert "no answer from http://127.0.0.1:1: start the system with `tork-celery standalone`" in errors


def test_invalid_file_is_not_submitted(stub: StubApi, command: Command) -> None:
    code, _, errors = command.run(stub.url, "name: x\ntasks: []\n")

    assert code == 1
    assert "tasks" in errors
    assert stub.requests == []


def test_missing_file_is_a_usage_error(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["tork-celery", "run", str(command.directory / "none.yaml")])

    with pytest.raises(SystemExit) as exited:
        main()

    assert exited.value.code == 2
    assert "does not exist" in capsys.readouterr().err


def test_missing_credentials_are_reported_with_the_variables_to_set(stub: StubApi, command: Command) -> None:
    stub.responses = {"POST /task": [(401, {"message": "the header Authorization is missing"})]}

    code, _, errors = command.run(stub.url, TASK)

    assert code == 1
    assert "the header Authorization is missing; set TORK_KEY, or TORK_USER and TORK_PASSWORD" in errors


def test_password_in_the_url_is_not_printed(command: Command) -> None:
    code, _, errors = command.run("http://ada:s3cret@127.0.0.1:1", TASK)

    assert code == 1
    assert "no answer from http://127.0.0.1:1:" in errors
    assert "s3cret" not in errors


@pytest.mark.parametrize(
    "lost",
    [(0, None), (503, {"message": "away"}), (502, b"<h1>"), (429, {"message": "slow"}), (200, b"<h1>")],
)
def test_api_that_is_away_is_asked_again(stub: StubApi, command: Command, lost: tuple[int, Any]) -> None:
    stub.responses = {
        "POST /jobs": [(200, {"id": "j"})],
        "GET /jobs/j": [job_response("RUNNING"), lost, lost, lost, job_response("COMPLETED", result="done")],
    }

    code, printed, errors = command.run(stub.url, JOB)

    assert (code, printed) == (0, "done\n")
    assert errors.count("trying again until the API answers about the job j: ") == 1
    assert errors.count(f"{stub.url} answers again") == 1


def test_submission_is_not_repeated(stub: StubApi, command: Command) -> None:
    stub.responses = {"POST /jobs": [(0, None)]}

    code, _, errors = command.run(stub.url, JOB)

    assert code == 1
    assert "no answer from" in errors
    assert [request for request, _, _ in stub.requests] == ["POST /jobs"]


def test_file_with_wait_is_followed_like_any_other(stub: StubApi, command: Command) -> None:
    stub.responses = {
        "POST /jobs": [(200, {"id": "j"})],
        "GET /jobs/j": [job_response("RUNNING"), job_response("COMPLETED", result="done")],
    }

    code, printed, _ = command.run(stub.url, JOB + "wait: {timeout: 5m}\n")

    assert (code, printed) == (0, "done\n")
    assert stub.headers[0]["Prefer"] == "respond-async"


def test_names_on_a_terminal_are_no_markup(stub: StubApi, tmp_path: Path) -> None:
    name = "deploy [/prod] a [red]b :smile:"
    task = {"id": "t", "name": "[/x]", "state": "RUNNING"}
    job = {"id": "j", "name": name, "result": "done", "execution": [task]}
    stub.responses = {
        "POST /jobs": [(200, {"id": "j"})],
        "GET /jobs/j": [(0, None), (200, {**job, "state": "COMPLETED"})],
    }
    (tmp_path / "job.yaml").write_text(JOB)

    code, printed, shown = run_in_terminal("run", str(tmp_path / "job.yaml"), "--url", stub.url)

    assert (code, printed) == (0, "done\n")
    assert name in shown
    assert "[/x]" in shown
    assert "trying again" in shown


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:3000", "http://[bad", "http://", "http://a:0"])
def test_invalid_url_is_rejected(command: Command, url: str) -> None:
    code, _, errors = command.run(url, JOB)

    assert code == 1
    assert errors == (
        "Error: --url or TORK_URL is not the URL of an API; write it like http://127.0.0.1:3000\n"
    )


def run_in_terminal(*arguments: str) -> tuple[int, str, str]:
    """Run tork-celery with a terminal as stderr; return its exit code, stdout and that terminal's text."""
    terminal, end = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "tork_celery.cli", *arguments],
            stdout=subprocess.PIPE,
            stderr=end,
            text=True,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "200", "NO_COLOR": "1"},
        )
        printed, _ = process.communicate(timeout=60)
        os.set_blocking(terminal, False)
        return process.returncode, printed, os.read(terminal, 1 << 20).decode()
    finally:
        os.close(terminal)
        os.close(end)
