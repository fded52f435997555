"""Every command of the documentation is run, against a real installation where it needs one.

A command that ends is run as it is printed, with the address, the files and the ids of the installation. One
that serves is started, and stopped when it is ready. `NOT_RUN` has the few others, each with its reason.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import docker
import pytest
import requests

from tests.docs.documents import ROOT, blocks, name
from tests.eventually import eventually
from tests.system.installation import Installation, free_port, running_installation

BIN = Path(sys.executable).parent
JQ = """#!{python}
import json, sys
assert sys.argv[1:] == ["-r", ".id"], sys.argv
print(json.load(sys.stdin)["id"])
"""
FILES = {
    "bob.json": '{"username": "bob", "password": "a long one", "name": "Bob B."}',
    "words.yaml": "name: words\ntasks: [{name: count, image: 'busybox:stable', run: echo 1}]\n",
    "nightly.yaml": (
        "name: nightly\nschedule: {cron: '30 4 * * *'}\ntasks: [{name: t, image: 'busybox:stable'}]\n"
    ),
}

ENDS = (
    "curl ",
    "tork-celery run ",
    "tork-celery eval ",
    "tork-celery schema",
    "tork-celery migration",
    "tork-celery users ",
    "tork-celery audit",
    "docker ps ",
    "docker volume ls ",
    "docker network ls ",
    "cp .env.example .env",
    "set -a; . ./.env; set +a",
    "export ",
    "TORK_",
)
SERVES = {
    "tork-celery standalone": "ready: listening",
    "celery -A tork_celery worker": "ready.",
    "celery -A tork_celery flower": "Connected to",
    "honcho start": "ready.",
}
NOT_RUN = {
    "sudo systemctl": "it changes the machine",
    "python3 -m venv": "make setup does the same, before any test",
    ".venv/bin/pip install": "make setup does the same, before any test",
    "pip install .": "tests/test_wheel.py installs the wheel",
    ".venv/bin/python -m pytest": "it runs tests, as this is one",
}


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a document, without its comment."""

    document: str
    line: str

    def __str__(self) -> str:
        return f"{self.document}: {self.line}"


def commands() -> list[Command]:
    """Return the commands of all shell blocks, each once in a document."""
    found: dict[Command, None] = {}
    for block in blocks():
        if block.info == "sh":
            for line in re.sub(r"\\\n\s*", " ", block.text).splitlines():
                if text := re.sub(r"\s+#\s.*", "", line).strip():
                    found[Command(name(block.document), text)] = None
    return list(found)


def starting(*beginnings: str) -> list[Command]:
    return [command for command in commands() if command.line.startswith(beginnings)]


@dataclass(frozen=True, slots=True)
class Shell:
    """A shell with this environment's commands, in a directory with the files that the documents name."""

    installation: Installation
    directory: Path
    variables: Mapping[str, str]

    def line(self, command: Command) -> str:
        """Return the command with the places of this test in place of the printed ones."""
        line = command.line.replace("localhost:3000", self.installation.url.removeprefix("http://"))
        for printed, ours in (
            ("--port 8000", f"--port {free_port()}"),
            ("--port=5555", f"--port={free_port()}"),
            ("/srv/tork", str(self.directory / "srv")),
        ):
            line = line.replace(printed, ours)
        if line == "tork-celery standalone":
            line += f" --port {free_port()} --data-dir {self.directory / 'standalone'}"
        if " worker " in line:
            line += f" -n docs-{free_port()}@%h"
        return line

    @property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(BIN), str(self.directory / "bin"), os.environ["PATH"]])
        return {**self.installation.environment, **self.variables, "PATH": path}

    def run(self, command: Command) -> str:
        """Run the command to its end and return its output."""
        done = subprocess.run(
            ["sh", "-ec", self.line(command)],
            cwd=self.directory,
            env=self.environment,
            input="a long password\n",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start_until(self, command: Command, sign: str) -> None:
        """Start the command, wait for the sign in its output, and stop it."""
        log = self.directory / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["sh", "-c", f"exec {self.line(command)}"],
                cwd=self.directory,
                env={**self.environment, "TORK_BROKER_URL": self.installation.broker_url}
                if " standalone" not in command.line
                else self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            eventually(lambda: sign in log.read_text(errors="replace"), within_s=90, explain=log.read_text)
            assert process.poll() is None
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


@pytest.fixture(scope="module")
def installation(
    engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """Return an installation in which the user ada may sign in, as in the documents."""
    del engine  # it is there, with the images that the examples name
    data_dir = tmp_path_factory.mktemp("tork") / "data"
    with running_installation(data_dir, "--queue", "default:2") as running:
        yield running


@pytest.fixture
def shell(installation: Installation, tmp_path: Path) -> Iterator[Shell]:
    for example in (ROOT / "examples").glob("*.yaml"):
        (tmp_path / example.name).write_text(example.read_text())
    for file, text in FILES.items():
        (tmp_path / file).write_text(text)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for file in ("Procfile", ".env.example"):
        shutil.copy(ROOT / file, tmp_path / file)
    shutil.copy(ROOT / ".env.example", tmp_path / ".env")
    programs = tmp_path / "bin"
    programs.mkdir()
    if shutil.which("jq") is None:
        (programs / "jq").write_text(JQ.format(python=sys.executable))
        (programs / "jq").chmod(0o755)
    task = installation.post("/task", {"name": "t", "image": "busybox:stable", "run": "sleep 60"})
    variables = {
        "TORK_URL": installation.url,
        "TASK_ID": task["id"],
        "JOB_ID": task["jobId"],
        "FLOWER_BASIC_AUTH": "admin:change-me",
        "PORT": str(free_port()),
    }
    yield Shell(installation, tmp_path, variables)
    requests.put(f"{installation.url}/jobs/{task['jobId']}/cancel", timeout=10)


@pytest.mark.parametrize("command", commands(), ids=str)
def test_command_is_run_or_has_a_reason(command: Command) -> None:
    known = (*ENDS, *SERVES, *NOT_RUN, "make ")
    assert command.line.startswith(known), "say in this file how it is tested"


@pytest.mark.parametrize("command", starting("make "), ids=str)
def test_make_target_exists(command: Command) -> None:
    subprocess.run(["sh", "-ec", f"{command.line} -n"], cwd=ROOT, check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize("command", starting(*ENDS), ids=str)
def test_command_succeeds(command: Command, shell: Shell) -> None:
    if "tork-celery users" in command.line:  # on a datastore of its own, with the user that it names
        shell = replace(shell, variables={**shell.variables, "TORK_DATA_DIR": str(shell.directory / "users")})
        shell.run(Command("", "tork-celery migration"))
        if "users add" not in command.line:
            shell.run(Command("", "tork-celery users add ada"))
    shell.run(command)


@pytest.mark.parametrize("command", starting(*SERVES), ids=str)
def test_server_gets_ready(command: Command, shell: Shell) -> None:
    sign = next(sign for beginning, sign in SERVES.items() if command.line.startswith(beginning))
    if command.line == "honcho start":  # which reads .env: a datastore of its own, and a part of the broker
        values = {
            "TORK_DATA_DIR": str(shell.directory / "honcho"),
            "TORK_BROKER_URL": shell.installation.broker_url.replace("virtual_host=0", "virtual_host=1"),
            "FLOWER_BASIC_AUTH": shell.variables["FLOWER_BASIC_AUTH"],
            "PORT": shell.variables["PORT"],
        }
        (shell.directory / ".env").write_text("".join(f"{key}={value}\n" for key, value in values.items()))
        replace(shell, variables={**shell.variables, **values}).run(Command("", "tork-celery migration"))
    shell.start_until(command, sign)


def test_first_job_of_the_readme_has_the_printed_result(shell: Shell) -> None:
    printed = [block.text for block in blocks(ROOT / "README.md") if block.info == "sh"]
    show = next(line for text in printed for line in text.splitlines() if "task/$TASK_ID" in line)
    submit = next(command for command in starting("curl ") if command.line.endswith("jq -r .id"))

    task_id = shell.run(submit).strip()
    shell.installation.wait_for_task(task_id)
    shown = requests.get(f"{shell.installation.url}/task/{task_id}", timeout=10).text

    for field in show.partition("# ")[2].split(", "):
        assert field.replace(": ", ":") in shown


def test_run_prints_the_result(shell: Shell) -> None:
    assert shell.run(Command("README.md", "tork-celery run examples/hello.yaml")) == "hello world\n"


@pytest.mark.parametrize(
    ("example", "result"),
    [("files.yaml", "6\n"), ("steps.yaml", "apple\npear\nplum\n"), ("job.yaml", "")],
)
def test_other_examples_complete(shell: Shell, example: str, result: str) -> None:
    assert shell.run(Command("README.md", f"tork-celery run examples/{example}")) == result
