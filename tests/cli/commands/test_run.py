"""`tork-celery run FILE` submits a job, waits for its end, and exits with a code that tells the outcome."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from tests.cli.conftest import Command as Tork
from tests.cli.stub_api import StubApi, page
from tork_celery.cli.client import Client
from tork_celery.cli.main import main

TASK = "name: hello\nimage: busybox\nrun: echo hello\n"
JOB = "name: a job\ntasks:\n  - {name: hello, image: busybox, run: echo hello}\n"
JSON_JOB = '{"name": "a job", "tasks": [{"name": "hello", "image": "busybox"}]}'


@pytest.fixture
def job_file(tmp_path: Path) -> Path:
    file = tmp_path / "job.yaml"
    file.write_text(JOB)
    return file


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


@pytest.mark.parametrize(("state", "expected"), [("FAILED", 1), ("CANCELLED", 3)])
def test_failed_or_cancelled_job_has_an_exit_code(
    stub: StubApi, command: Command, state: str, expected: int
) -> None:
    stub.responses = {
        "POST /jobs": [(200, {"id": "j"})],
        "GET /jobs/j": [job_response("RUNNING"), job_response(state, error="exit code 1")],
    }

    code, printed, errors = command.run(stub.url, JOB)

    assert (code, printed) == (expected, "")
    assert errors.endswith(f"{state}: exit code 1\n")


@pytest.mark.parametrize(
    ("status", "document", "expected"),
    [
        (400, {"message": "tasks: too many"}, (2, "tasks: too many")),
        (401, {"message": "no"}, (4, "not authenticated: no; set TORK_KEY, or TORK_USER and TORK_PASSWORD")),
        (403, {"message": "no"}, (4, "not allowed: no; ask an admin, or use the key of another user")),
        (404, b"", (5, "; `tork-celery jobs` lists the jobs")),
        (409, {"message": "taken"}, (5, "taken")),
        (413, {"message": "large"}, (2, "large")),
        (503, {"message": "away"}, (6, "the server answered 503: away")),
        (502, b"<h1>Bad gateway</h1>", (6, "the server answered 502: <h1>Bad gateway</h1>")),
        (400, [], (2, "[]")),
    ],
)
def test_error_response_is_printed(
    stub: StubApi, command: Command, status: int, document: Any, expected: tuple[int, str]
) -> None:
    stub.responses = {"POST /jobs": [(status, document)]}

    code, printed, errors = command.run(stub.url, JOB)

    assert (code, printed, errors) == (expected[0], "", f"Error: {expected[1]}\n")


def test_unreachable_api_is_reported_with_a_hint(command: Command) -> None:
    code, _, errors = command.run("http://127.0.0.1:1", JOB)

    assert code == 6
    assert "no answer from http://127.0.0.1:1: start the system with `tork-celery standalone`" in errors


def test_invalid_file_is_not_submitted(stub: StubApi, command: Command) -> None:
    code, _, errors = command.run(stub.url, "name: x\ntasks: []\n")

    assert code == 2
    assert "tasks" in errors
    assert stub.requests == []


def test_missing_file_is_a_usage_error(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["tork-celery", "run", str(command.directory / "none.yaml")])

    with pytest.raises(SystemExit) as exited:
        main()

    assert exited.value.code == 2
    assert "cannot read" in capsys.readouterr().err


def test_missing_credentials_are_reported_with_the_variables_to_set(stub: StubApi, command: Command) -> None:
    stub.responses = {"POST /task": [(401, {"message": "the header Authorization is missing"})]}

    code, _, errors = command.run(stub.url, TASK)

    assert code == 4
    assert "the header Authorization is missing; set TORK_KEY, or TORK_USER and TORK_PASSWORD" in errors


def test_password_in_the_url_is_not_printed(command: Command) -> None:
    code, _, errors = command.run("http://ada:s3cret@127.0.0.1:1", TASK)

    assert code == 6
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


def test_lost_response_is_asked_for_by_the_same_key(stub: StubApi, command: Command) -> None:
    stub.responses = {
        "POST /jobs": [(0, None), (200, {"id": "j"})],
        "GET /jobs/j": [job_response("COMPLETED", result="done")],
    }

    code, printed, _ = command.run(stub.url, JOB)

    assert (code, printed) == (0, "done\n")
    assert [request for request, _, _ in stub.requests[:2]] == ["POST /jobs"] * 2
    assert len({headers["Idempotency-Key"] for headers in stub.headers[:2]}) == 1


def test_api_that_never_answers_is_reported(stub: StubApi, command: Command) -> None:
    stub.responses = {"POST /jobs": [(0, None)]}

    code, _, errors = command.run(stub.url, JOB)

    assert code == 6
    assert "no answer from" in errors


def test_file_with_wait_is_followed_like_any_other(stub: StubApi, command: Command) -> None:
    stub.responses = {
        "POST /jobs": [(200, {"id": "j"})],
        "GET /jobs/j": [job_response("RUNNING"), job_response("COMPLETED", result="done")],
    }

    code, printed, _ = command.run(stub.url, JOB + "wait: {timeout: 5m}\n")

    assert (code, printed) == (0, "done\n")
    assert stub.headers[0]["Prefer"] == "respond-async"


def test_detached_job_is_not_followed(stub: StubApi, tork: Tork, job_file: Path) -> None:
    stub.responses = {"POST /jobs": [(200, {"id": "j"})]}

    assert tork("run", "-d", str(job_file)) == (0, "j\n", "")
    assert len(stub.requests) == 1


def test_timeout_prints_the_id_and_how_to_return(stub: StubApi, tork: Tork, job_file: Path) -> None:
    stub.responses = {"POST /jobs": [(200, {"id": "j"})], "GET /jobs/j": [job_response("RUNNING")]}

    code, printed, errors = tork("run", "--timeout", "0s", str(job_file))

    assert (code, printed) == (124, "j\n")
    assert "`tork-celery logs -f j` follows it" in errors


def test_quiet_prints_the_result_only(stub: StubApi, tork: Tork, job_file: Path) -> None:
    stub.responses = {
        "POST /jobs": [(200, {"id": "j"})],
        "GET /jobs/j": [job_response("COMPLETED", result="r")],
    }

    assert tork("run", "--quiet", str(job_file)) == (0, "r\n", "")
    assert [request for request, _, _ in stub.requests] == ["POST /jobs", "GET /jobs/j"]


def test_log_is_printed_with_the_evaluated_names(stub: StubApi, tork: Tork, job_file: Path) -> None:
    part = {
        "id": "t-1",
        "number": 1,
        "taskId": "t",
        "createdAt": "2026-11-25T08:00:00Z",
        "contents": "hi\nend",
    }
    stub.responses = {
        "POST /jobs": [(200, {"id": "j"})],
        "GET /jobs/j": [job_response("COMPLETED")],
        "GET /jobs/j/log": [(200, page(part))],
    }

    code, _, errors = tork("run", str(job_file))

    assert code == 0
    assert errors == "hello | hi\nhello | end\ntask hello: COMPLETED\njob j: COMPLETED\n"


def test_inputs_and_secrets_are_added_to_the_file(stub: StubApi, tork: Tork, tmp_path: Path) -> None:
    (tmp_path / "in.yaml").write_text("size: 3\ncolour: red\n")
    file = tmp_path / "job.yaml"
    file.write_text(JOB + "inputs: {colour: blue, mode: 012}\n")
    stub.responses = {"POST /jobs": [(200, {"id": "j"})]}

    values = ["--inputs", str(tmp_path / "in.yaml"), "--input", "size=4=5", "--secret", "key=s3cret"]
    code, _, errors = tork("run", "-d", str(file), *values)

    assert (code, errors) == (0, "")
    sent = json.loads(stub.requests[0][2])
    assert sent["inputs"] == {"colour": "red", "mode": "012", "size": "4=5"}
    assert sent["secrets"] == {"key": "s3cret"}


@pytest.mark.parametrize("options", [(), ("--cancel-on-interrupt",)])
def test_interrupt_detaches_or_cancels(
    stub: StubApi, tork: Tork, job_file: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    stub.responses = {
        "POST /jobs": [(200, {"id": "j"})],
        "GET /jobs/j": [job_response("CANCELLED")],
        "PUT /jobs/j/cancel": [(200, {"status": "OK"})],
    }
    ask = Client.job
    interrupts = iter([True, False, False])

    def interrupted_once(client: Client, job_id: str, *, patient: bool) -> Any:
        if next(interrupts):
            raise KeyboardInterrupt
        return ask(client, job_id, patient=patient)

    monkeypatch.setattr(Client, "job", interrupted_once)

    code, _, errors = tork("run", str(job_file), *options)

    assert code == (3 if options else 130)
    assert any(request == "PUT /jobs/j/cancel" for request, _, _ in stub.requests) is bool(options)
    assert ("the job goes on" in errors) is not bool(options)


def test_word_of_tork_starts_the_command(tork: Tork, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda _program, arguments: started.append(arguments))

    code, _, errors = tork("run", "coordinator")

    assert code == 0
    assert errors == "celery -A tork_celery worker -Q control -c 4\n"
    assert started[0][1:] == ["-P", "-m", *errors.split()]


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

    assert code == 2
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
