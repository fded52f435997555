"""Cancel, restart, retry and delete, with real containers."""

import time

import docker
import pytest
import requests

from tests.eventually import eventually
from tests.system.installation import Installation

IMAGE = "busybox:stable"
LONG = {
    "name": "long",
    "image": IMAGE,
    "run": "trap 'echo asked to stop; exit 9' TERM; echo up; sleep 60 & wait",
}
IGNORING_SIGTERM = {"name": "ignoring", "image": IMAGE, "run": "trap '' TERM; while :; do sleep 1; done"}


def test_cancelled_task_receives_sigterm_and_its_container_is_removed(
    engine: docker.DockerClient, installation: Installation
) -> None:
    task = installation.post("/task", LONG)
    eventually(lambda: installation.read_log(f"/tasks/{task['id']}") == "up\n")
    assert _put(installation, f"/task/{task['id']}/cancel") == {"status": "OK"}
    assert installation.get(f"/task/{task['id']}")["state"] == "CANCELLED"
    assert installation.get(f"/jobs/{task['jobId']}")["state"] == "CANCELLED"
    eventually(lambda: not _containers(engine, task["id"]), within_s=10)
    eventually(lambda: installation.read_output(f"/tasks/{task['id']}") == "up\nasked to stop\n")


def test_cancelled_task_that_ignores_sigterm_is_killed(
    engine: docker.DockerClient, installation: Installation
) -> None:
    task = installation.post("/task", IGNORING_SIGTERM)
    eventually(lambda: "running" in _containers(engine, task["id"]))
    _put(installation, f"/jobs/{task['jobId']}/cancel")
    eventually(lambda: not _containers(engine, task["id"]), within_s=15)


def test_waiting_task_is_cancelled(installation: Installation) -> None:
    waiting = installation.post("/task", {"name": "w", "queue": "nobody", "image": IMAGE, "run": "true"})
    _put(installation, f"/task/{waiting['id']}/cancel")
    assert installation.get(f"/task/{waiting['id']}")["state"] == "CANCELLED"


def test_ended_task_cannot_be_cancelled(installation: Installation) -> None:
    task = installation.run_task({"name": "t", "image": IMAGE, "run": "true"})
    response = requests.put(f"{installation.url}/task/{task['id']}/cancel", timeout=10)
    assert response.status_code == 400
    assert "COMPLETED" in response.json()["message"]


def test_restarted_job_continues_at_the_cancelled_task(installation: Installation) -> None:
    job = installation.post(
        "/jobs", {"name": "j", "tasks": [{"name": "one", "image": IMAGE, "run": "true"}, LONG]}
    )
    eventually(lambda: _states(installation, job["id"]) == ["COMPLETED", "RUNNING"])
    _put(installation, f"/jobs/{job['id']}/cancel")
    assert _states(installation, job["id"]) == ["COMPLETED", "CANCELLED"]
    assert _put(installation, f"/jobs/{job['id']}/restart") == {"status": "OK"}
    eventually(lambda: _states(installation, job["id"]) == ["COMPLETED", "CANCELLED", "RUNNING"])
    _put(installation, f"/jobs/{job['id']}/cancel")


@pytest.mark.covers("Retry.limit", "Task.retry")
def test_failed_task_is_retried_with_growing_delays(installation: Installation) -> None:
    retry = {"limit": 2, "initialDelay": "500ms"}
    posted = installation.post("/task", {"name": "t", "image": IMAGE, "run": "exit 4", "retry": retry})
    job = installation.wait_for_job(posted["jobId"])
    assert (job["state"], job["error"]) == ("FAILED", "exit code 4")
    assert [task["retry"]["attempts"] for task in job["execution"]] == [0, 1, 2]
    starts = [_seconds(task["startedAt"]) for task in job["execution"]]
    ends = [_seconds(task["failedAt"]) for task in job["execution"]]
    assert starts[1] - ends[0] >= 0.5
    assert starts[2] - ends[1] >= 1.0
    assert installation.get(f"/task/{posted['id']}")["id"] == job["execution"][2]["id"]


def test_deleted_job_is_removed_with_its_tasks_and_log(installation: Installation) -> None:
    task = installation.run_task({"name": "t", "image": IMAGE, "run": "echo hello"})
    assert requests.delete(f"{installation.url}/jobs/{task['jobId']}", timeout=10).ok
    for route in (f"/jobs/{task['jobId']}", f"/task/{task['id']}", f"/tasks/{task['id']}/log"):
        assert requests.get(installation.url + route, timeout=10).status_code == 404


def _put(installation: Installation, route: str) -> object:
    response = requests.put(installation.url + route, timeout=10)
    assert response.ok, response.text
    return response.json()


def _states(installation: Installation, job_id: str) -> list[str]:
    return [task["state"] for task in installation.get(f"/jobs/{job_id}")["execution"]]


def _containers(engine: docker.DockerClient, task_id: str) -> list[str]:
    containers = engine.api.containers(all=True, filters={"label": f"tork.task={task_id}"})
    return [container["State"] for container in containers]


def _seconds(text: str) -> float:
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{fraction}")
