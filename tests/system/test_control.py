"""Cancel, restart, retry and delete, in real containers."""

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
STUBBORN = {"name": "stubborn", "image": IMAGE, "run": "trap '' TERM; while :; do sleep 1; done"}


def test_a_cancelled_task_is_asked_to_stop_and_leaves_nothing(
    engine: docker.DockerClient, installation: Installation
) -> None:
    task = installation.post("/task", LONG)
    eventually(lambda: installation.log_of(f"/tasks/{task['id']}") == "up\n")
    assert _put(installation, f"/task/{task['id']}/cancel") == {"status": "OK"}
    assert installation.get(f"/task/{task['id']}")["state"] == "CANCELLED"
    assert installation.get(f"/jobs/{task['jobId']}")["state"] == "CANCELLED"
    eventually(lambda: not _containers(engine, task["id"]), within_s=10)
    eventually(lambda: installation.log_of(f"/tasks/{task['id']}") == "up\nasked to stop\n")


def test_a_task_that_does_not_listen_is_killed_after_a_while(
    engine: docker.DockerClient, installation: Installation
) -> None:
    task = installation.post("/task", STUBBORN)
    eventually(lambda: "running" in _containers(engine, task["id"]))
    _put(installation, f"/jobs/{task['jobId']}/cancel")
    eventually(lambda: not _containers(engine, task["id"]), within_s=15)


def test_a_waiting_task_is_cancelled_too(installation: Installation) -> None:
    waiting = installation.post("/task", {"name": "w", "queue": "nobody", "image": IMAGE, "run": "true"})
    _put(installation, f"/task/{waiting['id']}/cancel")
    assert installation.get(f"/task/{waiting['id']}")["state"] == "CANCELLED"


def test_what_has_ended_cannot_be_cancelled(installation: Installation) -> None:
    task = installation.run_task({"name": "t", "image": IMAGE, "run": "true"})
    answer = requests.put(f"{installation.url}/task/{task['id']}/cancel", timeout=10)
    assert answer.status_code == 400
    assert "COMPLETED" in answer.json()["message"]


def test_a_restarted_job_goes_on_from_the_task_that_it_stopped_at(installation: Installation) -> None:
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
def test_a_failed_task_runs_again_after_a_growing_delay(installation: Installation) -> None:
    retry = {"limit": 2, "initialDelay": "500ms"}
    posted = installation.post("/task", {"name": "t", "image": IMAGE, "run": "exit 4", "retry": retry})
    job = installation.ended_job(posted["jobId"])
    assert (job["state"], job["error"]) == ("FAILED", "exit code 4")
    assert [task["retry"]["attempts"] for task in job["execution"]] == [0, 1, 2]
    begins = [_seconds(task["startedAt"]) for task in job["execution"]]
    ends = [_seconds(task["failedAt"]) for task in job["execution"]]
    assert begins[1] - ends[0] >= 0.5
    assert begins[2] - ends[1] >= 1.0
    assert installation.get(f"/task/{posted['id']}")["id"] == job["execution"][2]["id"]


def test_a_deleted_job_is_gone_with_its_log(installation: Installation) -> None:
    task = installation.run_task({"name": "t", "image": IMAGE, "run": "echo hello"})
    assert requests.delete(f"{installation.url}/jobs/{task['jobId']}", timeout=10).ok
    for route in (f"/jobs/{task['jobId']}", f"/task/{task['id']}", f"/tasks/{task['id']}/log"):
        assert requests.get(installation.url + route, timeout=10).status_code == 404


def _put(installation: Installation, route: str) -> object:
    answer = requests.put(installation.url + route, timeout=10)
    assert answer.ok, answer.text
    return answer.json()


def _states(installation: Installation, job_id: str) -> list[str]:
    return [task["state"] for task in installation.get(f"/jobs/{job_id}")["execution"]]


def _containers(engine: docker.DockerClient, task_id: str) -> list[str]:
    found = engine.api.containers(all=True, filters={"label": f"tork.task={task_id}"})
    return [container["State"] for container in found]


def _seconds(text: str) -> float:
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{fraction}")
