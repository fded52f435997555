"""A container engine is found, or else started and stopped again."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts import engine, stale_files
from scripts.apt import Unavailable
from scripts.stale_files import PidFile

FAKE_DOCKERD = Path(__file__).with_name("fake_dockerd.py")


class Machine:
    """A machine with separate files of the engine, on which the user is root."""

    def __init__(self, folder: Path) -> None:
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.socket = folder / "s"
        self.address = f"unix://{self.socket}"
        self.pid_file = folder / "pid"

    def install(self, script: str) -> None:
        program = self.programs / "dockerd"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def install_engine(self) -> None:
        self.install(f'echo $$ >"{self.pid_file}"\nexec "{sys.executable}" "{FAKE_DOCKERD}" "{self.socket}"')

    @contextmanager
    def running_engine(self) -> Iterator[None]:
        with subprocess.Popen([sys.executable, FAKE_DOCKERD, self.socket]) as process:
            engine.wait_until(lambda: engine.answers(self.address), is_alive=lambda: process.poll() is None)
            yield
            process.terminate()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path)
    missing = tmp_path / "missing"
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{machine.programs}:/usr/bin:/bin")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(engine, "SBIN", str(missing))
    monkeypatch.setattr(engine, "SYSTEMD", missing)
    monkeypatch.setattr(engine, "DEFAULT", machine.address)
    monkeypatch.setattr(engine, "LOG", tmp_path / "log")
    monkeypatch.setattr(stale_files, "ENGINE", PidFile(path=machine.pid_file, program="dockerd"))
    monkeypatch.setattr(stale_files, "CONTAINERD", PidFile(path=missing, program="containerd"))
    monkeypatch.setattr(stale_files, "SHARED_CONTAINERD", missing)
    return machine


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_running_engine_is_used_and_not_stopped(machine: Machine) -> None:
    with machine.running_engine():
        with engine.running() as address:
            assert address == machine.address
        assert engine.answers(machine.address)


def test_missing_engine_is_started_and_stopped_after_the_block(machine: Machine) -> None:
    machine.install_engine()
    with engine.running() as address:
        assert engine.answers(address)
        pid = int(machine.pid_file.read_text())
    assert not is_alive(pid)


def test_started_engine_is_stopped_when_the_block_fails(machine: Machine) -> None:
    machine.install_engine()
    with pytest.raises(RuntimeError), engine.running():
        raise RuntimeError
    assert not engine.answers(machine.address)


def test_stale_pid_file_is_removed_before_the_start(machine: Machine) -> None:
    machine.install(
        f'test -e "{machine.pid_file}" && exit 1\nexec "{sys.executable}" "{FAKE_DOCKERD}" "{machine.socket}"'
    )
    machine.pid_file.write_text(f"{os.getpid()}")
    with engine.running() as address:
        assert engine.answers(address)


def test_error_contains_the_log_of_an_engine_that_does_not_start(machine: Machine) -> None:
    machine.install("echo no space left; exit 1")
    with pytest.raises(Unavailable, match="no space left"), engine.running():
        pass


def test_engine_at_another_address_is_not_started(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine.install_engine()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/other")
    with (
        pytest.raises(Unavailable, match="other does not answer: start it, or unset DOCKER_HOST"),
        engine.running(),
    ):
        pass


@pytest.mark.usefixtures("machine")
def test_error_names_the_package_for_a_user_without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with (
        pytest.raises(Unavailable, match=r"install Docker \(Debian's package is docker.io\)"),
        engine.running(),
    ):
        pass


def test_error_names_the_group_for_a_user_without_access(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    machine.socket.touch()
    with pytest.raises(Unavailable, match="usermod -aG docker"), engine.running():
        pass
