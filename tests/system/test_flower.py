"""Flower, started as in the Procfile, and Celery's own inspection of a running task."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import requests

from tests.eventually import eventually
from tests.system.installation import Installation, free_port

BIN = Path(sys.executable).parent
LOGIN = ("admin", "hunter-two")
TASK = {
    "name": "the task",
    "image": "busybox:stable",
    "env": {"API_TOKEN": "s3cr3t-value"},
    "run": "echo s3cr3t-in-the-script; sleep 60",
}
PAGES = ["/", "/workers", "/tasks", "/broker", "/api/workers?refresh=1", "/api/tasks", "/api/queues/length"]
SWEEPS_S = 5  # longer than two intervals of the recovery sweep


@contextmanager
def running_job(engine: docker.DockerClient, installation: Installation) -> Iterator[str]:
    """Run a job with secrets; yield the id of its task. The job is cancelled at the end."""
    job = {"name": "the job", "secrets": {"password": "s3cr3t-of-the-job"}, "tasks": [TASK]}
    job_id = installation.post("/jobs", job)["id"]
    task_id = eventually(lambda: _id_of_running_task(installation, job_id))
    try:
        yield task_id
    finally:
        requests.put(f"{installation.url}/jobs/{job_id}/cancel", timeout=10)
        eventually(lambda: not engine.containers.list(filters={"label": f"tork.task={task_id}"}))


def test_flower_shows_nodes_and_steps_but_no_secrets_after_login(
    engine: docker.DockerClient, installation: Installation
) -> None:
    with flower(installation, ":".join(LOGIN)) as url:
        assert {requests.get(url + page, timeout=10).status_code for page in PAGES} == {401}
        nodes = eventually(lambda: _workers(url))
        with running_job(engine, installation):
            step = eventually(lambda: _main_step(url))
            pages = [*PAGES, f"/task/{step['uuid']}", *(f"/worker/{node}" for node in nodes)]
            answers = [requests.get(url + page, auth=LOGIN, timeout=20) for page in pages]
    assert {answer.status_code for answer in answers} == {200}
    queues = {queue["name"] for node in nodes.values() for queue in node["active_queues"]}
    assert {"default", "control"} <= queues
    assert "the job" in step["args"]
    assert "the task" in step["args"]
    assert not [answer.url for answer in answers if "s3cr3t" in answer.text or LOGIN[1] in answer.text]


def test_flower_shows_no_task_but_those_of_jobs(installation: Installation) -> None:
    """The recovery sweep is a thread, not a Celery task."""
    with flower(installation, ":".join(LOGIN)) as url:
        eventually(lambda: _workers(url))
        task = {"name": "t", "image": "busybox:stable", "run": f"sleep {SWEEPS_S}"}
        task_id = installation.run_task(task)["id"]
        tasks = eventually(lambda: _all_seen(url, {"tork.main", "tork.advance"}))
    assert [task["name"] for task in tasks if task_id not in task["args"]] == []


def test_flower_does_not_start_without_a_password(installation: Installation) -> None:
    with flower(installation, "") as url:
        assert not url


def test_celery_inspects_the_worker_while_a_task_runs(
    engine: docker.DockerClient, installation: Installation
) -> None:
    with running_job(engine, installation) as task_id:
        assert _inspect(installation, "ping")
        [step] = [step for steps in _inspect(installation, "active").values() for step in steps]
    assert step["name"] == "tork.main"
    assert task_id in json.dumps(step)
    assert "s3cr3t" not in json.dumps(step)


@contextmanager
def flower(installation: Installation, login: str) -> Iterator[str]:
    """Start Flower and yield its URL once it answers, or an empty string if it has exited."""
    lines = dict(line.split(": ", 1) for line in Path("Procfile").read_text().splitlines() if line)
    port = free_port()
    command = lines["flower"].replace("--port=5555", f"--port={port}")
    environment = {
        **_environment(installation),
        "FLOWER_BASIC_AUTH": login,
        "PATH": f"{BIN}:{os.environ['PATH']}",
    }
    with subprocess.Popen(
        ["sh", "-c", f"exec {command}"], env=environment, stderr=subprocess.DEVNULL
    ) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            eventually(lambda: process.poll() is not None or _answers(url), within_s=60)
            yield "" if process.poll() is not None else url
        finally:
            process.terminate()


def _environment(installation: Installation) -> dict[str, str]:
    return {**installation.environment, "TORK_BROKER_URL": installation.broker_url}


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthcheck", timeout=5).ok
    except requests.ConnectionError:
        return False


def _workers(url: str) -> dict[str, Any]:
    answer = requests.get(f"{url}/api/workers?refresh=1", auth=LOGIN, timeout=20)
    return dict(answer.json()) if answer.ok else {}


def _tasks(url: str) -> list[dict[str, Any]]:
    return list(requests.get(f"{url}/api/tasks", auth=LOGIN, timeout=20).json().values())


def _all_seen(url: str, names: set[str]) -> list[dict[str, Any]] | None:
    """Return all Celery tasks once those with the given names have succeeded."""
    tasks = _tasks(url)
    succeeded = {task["name"] for task in tasks if task["state"] == "SUCCESS"}
    return tasks if names <= succeeded else None


def _main_step(url: str) -> dict[str, Any] | None:
    return next((task for task in _tasks(url) if task["name"] == "tork.main"), None)


def _id_of_running_task(installation: Installation, job_id: str) -> str | None:
    execution = installation.get(f"/jobs/{job_id}")["execution"]
    return execution[0]["id"] if execution and execution[0]["state"] == "RUNNING" else None


def _inspect(installation: Installation, command: str) -> dict[str, Any]:
    done = subprocess.run(
        [BIN / "celery", "-A", "tork_celery", "inspect", "--json", command],
        env=_environment(installation),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return dict(json.loads(done.stdout))
