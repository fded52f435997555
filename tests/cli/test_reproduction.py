"""The printed script repeats a step, and asks for secrets."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tork_celery.cli.reproduction import reproduction
from tork_celery.domain.errors import InvalidInput, NotFound

TASK = {
    "id": "t",
    "image": "busybox:stable",
    "run": "echo it's $NAME\ncat in",
    "env": {"NAME": "a b", "API_TOKEN": "[REDACTED]"},
    "files": {"in": "hello"},
    "limits": {"cpus": "0.5", "memory": "10m"},
    "mounts": [{"type": "bind", "source": "/srv", "target": "/data"}, {"type": "volume", "target": "/v"}],
    "pre": [{"name": "fetch", "image": "alpine", "cmd": ["wget", "a b"]}],
}


def test_command_has_the_environment_mounts_and_limits() -> None:
    script = reproduction(TASK, None).script()

    for words in ("-e 'NAME=a b'", "-e API_TOKEN ", "--cpus 0.5", "--memory 10m", "-v /srv:/data", "-v /v"):
        assert words in script
    assert script.endswith("--entrypoint sh \\\n  busybox:stable \\\n  -c \\\n  /tork/entrypoint")


def test_secrets_are_asked_for() -> None:
    script = reproduction(TASK, None).whole_script()

    assert "read -r API_TOKEN" in script
    assert "REDACTED" not in script


@pytest.mark.parametrize("step", ["fetch", "0"])
def test_step_is_chosen_by_name_or_number(step: str) -> None:
    assert reproduction(TASK, step).script().endswith("alpine \\\n  wget \\\n  'a b'")


def test_unknown_step_is_not_found() -> None:
    with pytest.raises(NotFound, match="its steps are: 0 fetch, 1"):
        reproduction(TASK, "none")


def test_composite_runs_no_container() -> None:
    with pytest.raises(InvalidInput, match="runs no container"):
        reproduction({"id": "t", "parallel": {}}, None)


def test_script_writes_the_files_that_the_step_sees(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\nfor word; do case $word in *:/tork) cd "${word%:/tork}";; esac; done\n')
    with docker.open("a") as file:
        file.write("cat entrypoint workdir/in\n")
    docker.chmod(0o755)
    shell = shutil.which("sh")
    assert shell is not None

    done = subprocess.run(
        [shell, "-c", reproduction(TASK, None).script()],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stdout == "echo it's $NAME\ncat in\nhello\n"
