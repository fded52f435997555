"""A worker that is not root, as in the systemd unit of the docs, reads all results and leaves nothing."""

import os
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.docs.documents import ROOT
from tests.eventually import eventually
from tests.system.installation import Installation

IMAGE = "busybox:stable"
SOCKET = Path("/var/run/docker.sock")
NOBODY = 65534


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    """A directory of that user. Other users may not enter tmp_path."""
    if os.geteuid() != 0 or not SOCKET.exists():
        pytest.skip("these tests change from root to a user in the group of the engine's socket")
    with tempfile.TemporaryDirectory(prefix="tork-") as name:
        os.chown(name, NOBODY, NOBODY)
        yield Path(name)


@pytest.fixture(scope="module")
def python(directory: Path) -> Iterator[Path]:
    """Return a path of this Python that all users may enter. Python may be in the home of root."""
    prefix = directory / "python"
    prefix.mkdir()
    mount = ["mount", "--bind", sys.base_prefix, str(prefix)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this user may not mount a directory")
    yield prefix
    subprocess.run(["umount", "--lazy", str(prefix)], check=True)


@pytest.fixture(scope="module")
def installation(engine: docker.DockerClient, directory: Path, python: Path) -> Iterator[Installation]:
    """An installation of a user who is in the group of the engine's socket."""
    del engine  # only started
    user: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": [SOCKET.stat().st_gid]}
    environment = {
        "HOME": str(directory),
        "LD_LIBRARY_PATH": f"{python}/lib",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *site.getsitepackages()]),
    }
    program = f"{python}/bin/python3.{sys.version_info.minor}"
    probe = [program, "-c", "import tork_celery.cli.commands.standalone"]
    if subprocess.run(probe, cwd="/", env=environment, check=False, **user).returncode != 0:
        pytest.skip("other users may not read the files of this project")
    command = directory / "tork-celery"
    command.write_text(f'#!/bin/sh\nexec {program} -m tork_celery.cli "$@"\n')
    command.chmod(0o755)
    installation = Installation(
        directory / "data",
        "--queue",
        "default:2",
        environment=environment,
        command_dir=directory,
        cwd=directory,
        user=user,
    )
    with closing(installation):
        installation.start()
        yield installation


@pytest.mark.parametrize(
    "script",
    [
        "t=$(mktemp); echo RESULT > $t; mv $t $TORK_OUTPUT; echo stdout",
        "umask 077; rm $TORK_OUTPUT; echo RESULT > $TORK_OUTPUT; echo stdout",
    ],
)
def test_result_that_only_root_can_read_is_the_result(installation: Installation, script: str) -> None:
    task = installation.run_task({"name": "t", "image": IMAGE, "run": script})

    assert (task["state"], task["result"]) == ("COMPLETED", "RESULT\n")


def test_progress_that_only_root_can_read_is_shown(installation: Installation) -> None:
    script = "umask 077; rm $TORK_PROGRESS; echo 42 > $TORK_PROGRESS; sleep 60"
    task = installation.post("/task", {"name": "t", "image": IMAGE, "run": script, "timeout": "20s"})

    eventually(lambda: installation.get(f"/task/{task['id']}").get("progress") == 42)


@pytest.mark.parametrize(
    "script", ["mkdir -p /tork/cache/a; echo x > /tork/cache/a/f", "chown 0:0 /tork; chmod 700 /tork"]
)
def test_nothing_is_left_of_what_root_made(installation: Installation, script: str) -> None:
    document = {"name": "t", "image": IMAGE, "run": script, "files": {"a": "b"}, "volumes": ["/data"]}
    task = installation.run_task(document)

    assert task["state"] == "COMPLETED"
    work = installation.data_dir / "work"
    eventually(lambda: not [path for path in work.rglob("*") if task["id"] in path.name])
    assert "runtime.removal_failed" not in installation.process_log()


def test_image_of_another_user_reads_files_and_writes_to_volumes(
    installation: Installation, engine: docker.DockerClient
) -> None:
    container = engine.api.create_container(IMAGE, ["true"])["Id"]
    image = engine.api.commit(container, repository="tork-test/plain-user", changes="USER 1000")["Id"]
    engine.api.remove_container(container)
    try:
        task = installation.run_task(
            {
                "name": "t",
                "image": image,
                "volumes": ["/data"],
                "workdir": "/srv/x",
                "files": {"a/b.txt": "hello"},
                "run": "cat a/b.txt; touch new /data/new; id -u",
            }
        )
    finally:
        engine.api.remove_image(image, force=True)

    assert (task["state"], task.get("result")) == ("COMPLETED", "hello1000\n")
