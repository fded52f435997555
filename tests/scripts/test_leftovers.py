import os
import socket
import subprocess
from pathlib import Path

from scripts.leftovers import PidFile, remove_if_deaf


def pid_file(folder: Path, content: object, *, program: str = "dockerd") -> PidFile:
    path = folder / "engine.pid"
    path.write_text(f"{content}\n")
    return PidFile(path=path, program=program)


def own_program() -> str:
    return Path("/proc/self/comm").read_text().strip()


def ended_pid() -> int:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def test_a_pid_file_of_a_live_program_stays(tmp_path: Path) -> None:
    file = pid_file(tmp_path, os.getpid(), program=own_program())
    file.remove_if_stale()
    assert file.running() == os.getpid()
    assert file.path.exists()


def test_a_pid_file_of_an_ended_program_is_removed(tmp_path: Path) -> None:
    file = pid_file(tmp_path, ended_pid())
    file.remove_if_stale()
    assert not file.path.exists()


def test_a_pid_that_another_program_has_by_now_is_stale(tmp_path: Path) -> None:
    file = pid_file(tmp_path, os.getpid(), program="dockerd")
    file.remove_if_stale()
    assert not file.path.exists()


def test_a_pid_file_without_a_pid_is_removed(tmp_path: Path) -> None:
    file = pid_file(tmp_path, "")
    file.remove_if_stale()
    assert not file.path.exists()


def test_a_missing_pid_file_is_no_error(tmp_path: Path) -> None:
    file = PidFile(path=tmp_path / "none", program="dockerd")
    file.remove_if_stale()
    assert file.running() is None


def test_a_socket_that_somebody_listens_on_stays(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        remove_if_deaf(path)
    assert path.exists()


def test_a_socket_that_nobody_listens_on_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    remove_if_deaf(path)
    assert not path.exists()


def test_a_missing_socket_is_no_error(tmp_path: Path) -> None:
    remove_if_deaf(tmp_path / "none")
