"""`tork-celery run FILE` submits, waits, and exits as the job ended."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
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
    """The command line, as a user has it."""

    directory: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def run(self, url: str, text: str, name: str = "job.yaml") -> tuple[int, str, str]:
        """The exit code, what was printed, and what was printed as an error."""
        file = self.directory / name
        file.write_text(text)
        self.monkeypatch.setattr("sys.argv", ["tork-celery", "run", str(file), "--url", url])
        with pytest.raises(SystemExit) as exited:
            main()
        said = self.capsys.readouterr()
        return int(exited.value.code or 0), said.out, said.err


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(tmp_path, monkeypatch, capsys)


def job(state: str, *, task: str | None = None, **values: Any) -> tuple[int, Any]:
    run = {"id": "t", "name": "hello", "state": task or state} | values.pop("run", {})
    return 200, {"id": "j", "name": "a job", "state": state, "execution": [run]} | values


def test_the_result_of_a_task_is_printed(stub: StubApi, command: Command) -> None:
    stub.answers = {
        "POST /task": [(200, {"id": "t", "jobId": "j"})],
        "GET /jobs/j": [job("SCHEDULED"), job("RUNNING"), job("COMPLETED", run={"result": "hello\n"})],
    }

    code, printed, said = command.run(stub.url, TASK)

    assert (code, printed) == (0, "hello\n")
    assert [line for line in said.splitlines() if line.startswith("job")] == [
        "job j: SCHEDULED",
        "job j: RUNNING",
        "job j: COMPLETED",
    ]
    assert stub.asked[0] == ("POST /task", "text/yaml", TASK.encode())


@pytest.mark.parametrize(
    ("text", "name", "media_type"),
    [(JOB, "job.yaml", "text/yaml"), (JSON_JOB, "job.json", "application/json")],
)
def test_a_job_completes(stub: StubApi, command: Command, text: str, name: str, media_type: str) -> None:
    stub.answers = {
        "POST /jobs": [(200, {"id": "j"})],
        "GET /jobs/j": [job("COMPLETED", result="the result")],
    }

    code, printed, _ = command.run(stub.url, text, name)

    assert (code, printed) == (0, "the result\n")
    assert stub.asked[0][:2] == ("POST /jobs", media_type)


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED"])
def test_a_job_that_does_not_complete_is_a_failure(stub: StubApi, command: Command, state: str) -> None:
    stub.answers = {
        "POST /jobs": [(200, {"id": "j"})],
        "GET /jobs/j": [job("RUNNING"), job(state, error="exit code 1")],
    }

    code, printed, said = command.run(stub.url, JOB)

    assert (code, printed) == (1, "")
    assert said.endswith(f"{state}: exit code 1\n")


@pytest.mark.parametrize(
    ("status", "document", "expected"),
    [
        (400, {"message": "tasks: too many"}, "Error: tasks: too many"),
        (503, {"message": "the datastore is away"}, "Error: the server says 503: the datastore is away"),
        (502, b"<h1>Bad gateway</h1>", "Error: the server says 502: <h1>Bad gateway</h1>"),
        (404, b"", "Error: "),
        (400, [], "Error: []"),
    ],
)
def test_a_refusal_is_said(
    stub: StubApi, command: Command, status: int, document: Any, expected: str
) -> None:
    stub.answers = {"POST /jobs": [(status, document)]}

    code, printed, said = command.run(stub.url, JOB)

    assert (code, printed, said.rstrip("\n")) == (1, "", expected.rstrip("\n"))


def test_when_nothing_listens_what_to_do_is_said(command: Command) -> None:
    code, _, said = command.run("http://127.0.0.1:1", JOB)

    assert code == 1
    assert "nothing answers at http://127.0.0.1:1: start it with `tork-celery standalone`" in said


def test_a_file_that_is_wrong_is_not_sent(stub: StubApi, command: Command) -> None:
    code, _, said = command.run(stub.url, "name: x\ntasks: []\n")

    assert code == 1
    assert "tasks" in said
    assert stub.asked == []


def test_a_file_that_is_not_there_is_a_usage_error(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["tork-celery", "run", str(command.directory / "none.yaml")])

    with pytest.raises(SystemExit) as exited:
        main()

    assert exited.value.code == 2
    assert "does not exist" in capsys.readouterr().err


def test_who_is_not_let_in_hears_how_to_say_who_he_is(stub: StubApi, command: Command) -> None:
    stub.answers = {"POST /task": [(401, {"message": "the header Authorization is missing"})]}

    code, _, said = command.run(stub.url, TASK)

    assert code == 1
    assert "the header Authorization is missing; set TORK_KEY, or TORK_USER and TORK_PASSWORD" in said


def test_a_password_in_the_url_is_not_printed(command: Command) -> None:
    code, _, said = command.run("http://ada:s3cret@127.0.0.1:1", TASK)

    assert code == 1
    assert "nothing answers at http://127.0.0.1:1:" in said
    assert "s3cret" not in said
