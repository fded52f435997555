"""Standalone mode: what it leaves behind, what it refuses, and what it goes on with."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest

from tests.eventually import eventually
from tests.system.installation import LONG_LEASE, Installation, installed, two_slots

IMAGE = "busybox:stable"
SLOW = {"name": "slow", "image": IMAGE, "run": "for i in $(seq 1 6); do echo line $i; sleep 1; done"}
ALL_LINES = "".join(f"line {number}\n" for number in range(1, 7))


@pytest.fixture(scope="module")
def installation(
    engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """One whose processes are killed here, so that no other tests have it."""
    del engine  # it is there, and watched
    with two_slots(tmp_path_factory) as running:
        yield running


def processes_of(installation: Installation) -> list[psutil.Process]:
    assert installation.process is not None
    parent = psutil.Process(installation.process.pid)
    return [parent, *parent.children(recursive=True)]


def containers_of(engine: docker.DockerClient, task_id: str) -> list[str]:
    return [
        found["State"] for found in engine.api.containers(all=True, filters={"label": f"tork.task={task_id}"})
    ]


def test_when_it_is_killed_nothing_of_it_stays_and_the_next_start_ends_the_job(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    with installed(tmp_path / "data", "--queue", "default:2", environment=LONG_LEASE) as installation:
        job = installation.post(
            "/jobs", {"name": "j", "tasks": [SLOW, {**SLOW, "name": "next", "run": "true"}]}
        )
        task_id = eventually(lambda: _running_task(installation, job["id"]))
        eventually(lambda: "line 2" in installation.log_of(f"/tasks/{task_id}"))
        family = processes_of(installation)
        installation.kill()
        _, alive = psutil.wait_procs(family, timeout=10)
        assert not alive
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", installation.port))

        installation.start()
        ended = installation.ended_job(job["id"])
        assert ended["state"] == "COMPLETED"
        task = ended["execution"][0]
        assert installation.log_of(f"/tasks/{task_id}") == ALL_LINES  # no line lost, none twice
        assert task["result"] == ALL_LINES
        assert "redelivered" not in task  # the container was adopted, not run again
        eventually(lambda: not containers_of(engine, task_id))


def test_ctrl_c_stops_the_containers_and_the_next_start_runs_their_tasks_again(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    with installed(tmp_path / "data") as installation:
        task = {"name": "t", "image": IMAGE, "run": "echo begun; sleep 3; echo done"}
        task_id = installation.post("/task", task)["id"]
        eventually(lambda: "begun" in installation.log_of(f"/tasks/{task_id}"))
        assert installation.stop(signal.SIGINT) == 0
        assert containers_of(engine, task_id) == []
        installation.start()
        assert installation.ended_task(task_id)["result"] == "begun\ndone\n"


def test_sigterm_leaves_the_containers_running_for_the_next_start(
    engine: docker.DockerClient, tmp_path: Path
) -> None:
    with installed(tmp_path / "data") as installation:
        task_id = installation.post("/task", SLOW)["id"]
        eventually(lambda: "running" in containers_of(engine, task_id))
        assert installation.stop(signal.SIGTERM) == 0
        assert containers_of(engine, task_id) == ["running"]
        installation.start()
        assert installation.ended_task(task_id)["result"] == ALL_LINES
        assert installation.log_of(f"/tasks/{task_id}") == ALL_LINES


@pytest.mark.parametrize(("stop", "lines"), [("release", ""), ("30s", "begun\ndone\n")])
def test_what_sigterm_does_to_running_steps_is_a_setting(
    engine: docker.DockerClient, tmp_path: Path, stop: str, lines: str
) -> None:
    with installed(tmp_path / "data", environment={"TORK_STOP": stop}) as installation:
        task = {"name": "t", "image": IMAGE, "run": "echo begun; sleep 2; echo done"}
        task_id = installation.post("/task", task)["id"]
        eventually(lambda: "begun" in installation.log_of(f"/tasks/{task_id}"))
        assert installation.stop(signal.SIGTERM) == 0
        assert containers_of(engine, task_id) == []
        [(state, result)] = _rows(installation, "SELECT state, result FROM tasks")
    assert (state, result or "") == (("RUNNING" if lines else "SCHEDULED"), lines)


@pytest.mark.parametrize("victim", ["broker", "control", "api", "worker"])
def test_it_restarts_a_process_of_its_own_that_dies(installation: Installation, victim: str) -> None:
    marks = {
        "broker": "valkey-server",
        "control": "-Q control",
        "api": "tork_celery.cli api",
        "worker": "-Q default",
    }
    supervisor = processes_of(installation)[0]
    found = [p for p in supervisor.children() if marks[victim] in " ".join(p.cmdline())]
    found[0].kill()
    name = "worker default" if victim == "worker" else victim
    eventually(lambda: f"{name} was killed by SIGKILL; it starts again in" in installation.log())
    eventually(lambda: _answers(installation))
    assert installation.run_task({"name": "t", "image": IMAGE, "run": "echo -n well"})["result"] == "well"


def test_coordinator_has_no_beat_process(installation: Installation) -> None:
    supervisor = processes_of(installation)[0]
    [coordinator] = [p for p in supervisor.children() if "-Q control" in " ".join(p.cmdline())]

    assert coordinator.children() == []


def test_a_second_one_is_refused_the_data_directory(installation: Installation) -> None:
    refused = _standalone("--data-dir", str(installation.data_dir), "--port", "39999")
    assert refused.returncode == 1
    assert f"another tork-celery uses the data directory {installation.data_dir}" in refused.stderr


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = _standalone("--data-dir", str(tmp_path), "--port", str(port))
    assert refused.returncode == 1
    assert f"cannot listen on 127.0.0.1, port {port}: Address already in use" in refused.stderr


def test_an_engine_that_does_not_answer_is_said(tmp_path: Path) -> None:
    refused = _standalone("--data-dir", str(tmp_path), TORK_DOCKER_URL="unix:///nowhere/docker.sock")
    assert refused.returncode == 1
    assert "engine" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_it_does_not_listen_where_others_reach_it_without_authentication(tmp_path: Path) -> None:
    refused = _standalone("--data-dir", str(tmp_path), "--host", "0.0.0.0")
    assert refused.returncode == 1
    assert "--insecure" in refused.stderr


def test_a_queue_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    refused = _standalone("--data-dir", str(tmp_path), "--queue", "a:1", "--queue", "a:2")
    assert refused.returncode == 2
    assert "named twice" in refused.stderr


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


def _answers(installation: Installation) -> bool:
    try:
        return bool(installation.get("/health"))
    except (OSError, AssertionError):
        return False
