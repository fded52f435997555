"""The processes run no Python file of the directory in which they are started."""

import os
import signal
import subprocess
import sys
from contextlib import closing
from importlib.metadata import packages_distributions
from pathlib import Path

import docker
import pytest
import requests

from tests.eventually import eventually
from tests.system.installation import Installation, free_port

# Every process that imports one of these modules notes its command line.
HOSTILE = """
import sys as _sys
with open({note!r}, "a") as _file:
    print(__name__, _sys.orig_argv, file=_file)
raise ImportError("a hostile module was imported")
"""
NAMES = {
    *sys.stdlib_module_names,
    *packages_distributions(),
    "simplejson",
    "django",
    "gevent",
    "eventlet",
} - {"__main__"}


@pytest.fixture
def note(tmp_path: Path) -> Path:
    """The file in which a hostile module notes that it was imported."""
    return tmp_path / "note"


@pytest.fixture
def hostile_directory(tmp_path: Path, note: Path) -> Path:
    """A directory with a module for every name that a process of ours might import."""
    directory = tmp_path / "hostile"
    directory.mkdir()
    for name in NAMES:
        (directory / f"{name}.py").write_text(HOSTILE.format(note=str(note)))
    return directory


def test_standalone_imports_nothing_from_its_working_directory(
    engine: docker.DockerClient, tmp_path: Path, hostile_directory: Path, note: Path
) -> None:
    del engine  # only started
    installation = Installation(tmp_path / "data", cwd=hostile_directory)

    with closing(installation):
        installation.start()
        task = installation.run_task({"name": "t", "image": "busybox:stable", "run": "echo -n hello"})
        installation.stop()

    assert task["result"] == "hello"
    assert not note.exists(), note.read_text()


def test_several_api_processes_import_nothing_from_their_working_directory(
    tmp_path: Path, hostile_directory: Path, note: Path
) -> None:
    command, port = Path(sys.executable).parent / "tork-celery", free_port()
    environment = {**os.environ, "TORK_DATA_DIR": str(tmp_path / "data")}
    subprocess.run([command, "migration"], env=environment, check=True, timeout=60)
    api = subprocess.Popen(
        [command, "api", "--workers", "2", "--port", str(port)], env=environment, cwd=hostile_directory
    )
    try:
        eventually(lambda: note.exists() or answers(f"http://127.0.0.1:{port}/health"))
    finally:
        api.send_signal(signal.SIGTERM)
        api.wait(timeout=30)

    assert not note.exists(), note.read_text()


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code in (200, 503)  # 503: no broker is running
    except requests.ConnectionError:
        return False
