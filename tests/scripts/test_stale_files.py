"""Stale files of a container engine are removed, and those in use are kept."""

import os
import socket
import subprocess
from pathlib import Path

from scripts.stale_files import PidFile, remove_socket_without_listener


def write_pid_file(folder: Path, content: object, *, program: str = "dockerd") -> PidFile:
    path = folder / "engine.pid"
    path.write_text(f"{content}\n")
    return PidFile(path=path, program=program)


def own_program() -> str:
    return Path("/proc/self/comm").read_text().strip()


def ended_pid() -> int:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def test_pid_file_of_a_running_program_is_kept(tmp_path: Path) -> None:
    file = write_pid_file(tmp_path, os.getpid(), program=own_program())
    file.remove_if_stale()
    assert file.running_pid() == os.getpid()
    assert file.path.exists()


def test_pid_file_of_an_ended_program_is_removed(tmp_path: Path) -> None:
    file = write_pid_file(tmp_path, ended_pid())
    file.remove_if_stale()
    assert not file.path.exists()


def test_pid_file_is_removed_if_another_program_has_the_pid(tmp_path: Path) -> None:
    file = write_pid_file(tmp_path, os.getpid(), program="dockerd")
    file.remove_if_stale()
    assert not file.path.exists()


def test_pid_file_without_a_pid_is_removed(tmp_path: Path) -> None:
    file = write_pid_file(tmp_path, "")
    file.remove_if_stale()
    assert not file.path.exists()


def test_missing_pid_file_is_ignored(tmp_path: Path) -> None:
    file = PidFile(path=tmp_path / "none", program="dockerd")
    file.remove_if_stale()
    assert file.running_pid() is None


def test_socket_with_a_listener_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        remove_socket_without_listener(path)
    assert path.exists()


def test_socket_without_a_listener_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    remove_socket_without_listener(path)
    assert not path.exists()


def test_missing_socket_is_ignored(tmp_path: Path) -> None:
    remove_socket_without_listener(tmp_path / "none")
