"""Standalone mode: kills, signals, restarts of its processes, and what it refuses to start with."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest

from tests.eventually import eventually
from tests.system.installation import LONG_LEASE, Installation, running_installation, two_slot_installation

IMAGE = "busybox:stable"
SLOW = {"name": "slow", "image": IMAGE, "run": "for i in $(seq 1 6); do echo line $i; sleep 1; done"}
ALL_LINES = "".join(f"line {number}\n" for number in range(1, 7))


@pytest.fixture(scope="module")
def installation(
    engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """An installation of this module: its tests kill processes."""
    del engine  # only started
    with two_slot_installation(tmp_path_factory) as running:
        yield running


def processes_of(installation: Installation) -> list[psutil.Process]:
    assert installation.process is not None
    parent = psutil.Process(installation.process.pid)
    return [parent, *parent.children(recursive=True)]


def containers_of(engine: docker.DockerClient, task_id: str) -> list[str]:
    return [
        container["State"]
        for container in engine.api.containers(all=True, filters={"label": f"tork.task={task_id}"})
    ]


def test_killed_system_leaves_no_process_and_the_next_start_completes_its_job(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    with running_installation(
        tmp_path / "data", "--queue", "default:2", environment=LONG_LEASE
    ) as installation:
        job = installation.post(
            "/jobs", {"name": "j", "tasks": [SLOW, {**SLOW, "name": "next", "run": "true"}]}
        )
        task_id = eventually(lambda: _running_task(installation, job["id"]))
        eventually(lambda: "line 2" in installation.read_log(f"/tasks/{task_id}"))
        processes = processes_of(installation)
        installation.kill()
        _, alive = psutil.wait_procs(processes, timeout=10)
        assert not alive
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", installation.port))

        installation.start()
        ended = installation.wait_for_job(job["id"])
        assert ended["state"] == "COMPLETED"
        task = ended["execution"][0]
        assert installation.read_output(f"/tasks/{task_id}") == ALL_LINES  # no line lost, none duplicated
        assert task["result"] == ALL_LINES
        assert "redelivered" not in task  # the container was adopted, not run again
        eventually(lambda: not containers_of(engine, task_id))


def test_sigint_kills_the_containers_and_the_next_start_runs_their_tasks_again(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    with running_installation(tmp_path / "data") as installation:
        task = {"name": "t", "image": IMAGE, "run": "echo started; sleep 3; echo done"}
        task_id = installation.post("/task", task)["id"]
        eventually(lambda: "started" in installation.read_log(f"/tasks/{task_id}"))
        assert installation.stop(signal.SIGINT) == 0
        assert containers_of(engine, task_id) == []
        installation.start()
        assert installation.wait_for_task(task_id)["result"] == "started\ndone\n"


def test_sigterm_leaves_containers_running_for_the_next_start(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    with running_installation(tmp_path / "data") as installation:
        task_id = installation.post("/task", SLOW)["id"]
        eventually(lambda: "running" in containers_of(engine, task_id))
        assert installation.stop(signal.SIGTERM) == 0
        assert containers_of(engine, task_id) == ["running"]
        installation.start()
        assert installation.wait_for_task(task_id)["result"] == ALL_LINES
        assert installation.read_output(f"/tasks/{task_id}") == ALL_LINES


@pytest.mark.parametrize(("stop", "lines"), [("release", ""), ("30s", "started\ndone\n")])
def test_tork_stop_sets_what_sigterm_does_to_running_steps(
    engine: docker.DockerClient, tmp_path: Path, stop: str, lines: str
) -> None:
    with running_installation(tmp_path / "data", environment={"TORK_STOP": stop}) as installation:
        task = {"name": "t", "image": IMAGE, "run": "echo started; sleep 2; echo done"}
        task_id = installation.post("/task", task)["id"]
        eventually(lambda: "started" in installation.read_log(f"/tasks/{task_id}"))
        assert installation.stop(signal.SIGTERM) == 0
        assert containers_of(engine, task_id) == []
        [(state, result)] = _rows(installation, "SELECT state, result FROM tasks")
    assert (state, result or "") == (("RUNNING" if lines else "SCHEDULED"), lines)


@pytest.mark.parametrize("victim", ["broker", "coordinator", "api", "worker"])
def test_dead_process_is_restarted(installation: Installation, victim: str) -> None:
    arguments = {
        "broker": "valkey-server",
        "coordinator": "-Q control",
        "api": "tork_celery.cli api",
        "worker": "-Q default",
    }
    supervisor = processes_of(installation)[0]
    processes = [p for p in supervisor.children() if arguments[victim] in " ".join(p.cmdline())]
    processes[0].kill()
    name = "worker default" if victim == "worker" else victim
    eventually(lambda: f"{name} was killed by SIGKILL; restarting in" in installation.process_log())
    eventually(lambda: _is_healthy(installation))
    assert installation.run_task({"name": "t", "image": IMAGE, "run": "echo -n hello"})["result"] == "hello"


def test_coordinator_has_no_beat_process(installation: Installation) -> None:
    supervisor = processes_of(installation)[0]
    [coordinator] = [p for p in supervisor.children() if "-Q control" in " ".join(p.cmdline())]

    assert coordinator.children() == []


def test_files_are_closed_to_other_users(engine: docker.DockerClient, tmp_path: Path) -> None:
    del engine  # only started
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    data_dir.chmod(0o755)

    with running_installation(data_dir) as installation:
        installation.run_task({"name": "t", "image": IMAGE, "run": "true"})
        entries = [data_dir, *data_dir.iterdir(), *(data_dir / "broker").iterdir()]
        open_to_others = [str(path) for path in entries if path.stat().st_mode & 0o077]

    assert {"lock", "tork.db", "tork.db-wal", "tork.db-shm", "broker.sock"} <= {path.name for path in entries}
    assert open_to_others == []


def test_steps_of_the_shell_runtime_have_the_umask_of_the_command(tmp_path: Path) -> None:
    shell = {"TORK_RUNTIME": "shell", "TORK_SHELL_ALLOW_ROOT": "true"}
    umask = os.umask(0o077)
    os.umask(umask)

    with running_installation(tmp_path / "data", environment=shell) as installation:
        task = installation.run_task({"name": "t", "run": "umask"})

    assert int(task["result"], 8) == umask


def test_data_directory_may_have_any_name(engine: docker.DockerClient) -> None:
    del engine  # only started
    # A short path, for the broker's socket to be in the data directory.
    with tempfile.TemporaryDirectory(prefix="tork-") as parent:
        data_dir = Path(parent) / "q?x=1 h#ash p%20c semi;colon\nü'\",$&[x]\\"
        with running_installation(data_dir) as installation:
            task = installation.run_task(
                {"name": "t", "image": IMAGE, "run": "cat in >$TORK_OUTPUT", "files": {"in": "hello"}}
            )
            names = {path.name for path in data_dir.iterdir()}
        assert {path.name for path in Path(parent).iterdir()} == {data_dir.name, "standalone.log"}

    assert task["result"] == "hello"
    assert {"tork.db", "broker.sock", "work"} <= names


def test_data_directory_in_use_is_rejected(installation: Installation) -> None:
    rejected = _standalone("--data-dir", str(installation.data_dir), "--port", "39999")
    assert rejected.returncode == 2
    assert f"another tork-celery uses the data directory {installation.data_dir}" in rejected.stderr


def test_port_in_use_is_rejected(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        rejected = _standalone("--data-dir", str(tmp_path), "--port", str(port))
    assert rejected.returncode == 2
    assert f"cannot listen on 127.0.0.1, port {port}: Address already in use" in rejected.stderr


def test_public_address_without_authentication_is_rejected(tmp_path: Path) -> None:
    rejected = _standalone("--data-dir", str(tmp_path), "--host", "0.0.0.0")
    assert rejected.returncode == 2
    assert "--insecure" in rejected.stderr


def test_duplicate_queue_is_rejected(tmp_path: Path) -> None:
    rejected = _standalone("--data-dir", str(tmp_path), "--queue", "a:1", "--queue", "a:2")
    assert rejected.returncode == 2
    assert "given twice" in rejected.stderr


def _standalone(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "tork-celery", "standalone", *options],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _rows(installation: Installation, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(installation.data_dir / "tork.db")) as datastore:
        return datastore.execute(query).fetchall()


def _running_task(installation: Installation, job_id: str) -> str | None:
    execution = installation.get(f"/jobs/{job_id}")["execution"]
    return execution[0]["id"] if execution[0]["state"] == "RUNNING" else None


def _is_healthy(installation: Installation) -> bool:
    try:
        return bool(installation.get("/health"))
    except (OSError, AssertionError):
        return False
