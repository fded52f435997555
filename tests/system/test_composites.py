"""Composites, expressions and secrets in the whole system, with real containers."""

import docker
import requests

from tests.eventually import eventually
from tests.system.installation import Installation

IMAGE = "busybox:stable"
LONG = {"name": "long", "image": IMAGE, "run": "echo up; sleep 60"}
SECRET = "correct-horse-battery"


def test_failed_child_stops_its_siblings(engine: docker.DockerClient, installation: Installation) -> None:
    failing = {"name": "failing", "image": IMAGE, "run": "sleep 2; echo broken; exit 3"}
    job = installation.post(
        "/jobs", {"name": "j", "tasks": [{"name": "both", "parallel": {"tasks": [LONG, failing]}}]}
    )

    ended = installation.wait_for_job(job["id"])

    assert (ended["state"], ended["error"]) == ("FAILED", "exit code 3: broken")
    states = {task["name"]: task["state"] for task in ended["execution"]}
    assert states == {"both": "FAILED", "failing": "FAILED", "long": "STOPPED"}
    eventually(lambda: not _containers(engine, job["id"]), within_s=10)


def test_cancelling_a_job_kills_the_containers_of_its_subjobs(
    engine: docker.DockerClient, installation: Installation
) -> None:
    job = installation.post(
        "/jobs", {"name": "j", "tasks": [{"name": "s", "subjob": {"name": "inner", "tasks": [LONG]}}]}
    )
    inner = installation.get(f"/jobs/{job['id']}")["execution"][0]["subjob"]["id"]
    eventually(lambda: installation.read_log(f"/jobs/{inner}") == "up\n")

    requests.put(f"{installation.url}/jobs/{job['id']}/cancel", timeout=10).raise_for_status()

    eventually(lambda: installation.get(f"/jobs/{inner}")["state"] == "CANCELLED")
    eventually(lambda: not _containers(engine, inner), within_s=10)


def test_failed_expression_is_reported_with_its_path(installation: Installation) -> None:
    job = installation.post(
        "/jobs",
        {"name": "j", "tasks": [{"name": "t", "image": IMAGE, "env": {"A": "{{ inputs.a + 1 }}"}}]},
    )
    assert installation.wait_for_job(job["id"])["error"].startswith("env.A: ")


LEAKING = {
    "name": "of {{ secrets.key }}",
    "image": IMAGE,
    "env": {"KEY": "{{ secrets.key }}"},
    "run": "printf %s $KEY | cut -c 1-8; printf %s $KEY | cut -c 1-9 | tr -d '\\n'; sleep 1; "
    "printf %s $KEY | cut -c 10-; echo -n $KEY > $TORK_OUTPUT",
    "var": "leak",
}
USING = {"name": "use it", "image": IMAGE, "env": {"A": "{{ tasks.leak }}"}, "run": f"[ $A = {SECRET} ]"}
FAILING = {"name": "fail", "image": IMAGE, "env": {"A": "{{ tasks.leak }}"}, "run": "echo $A; exit 1"}


def test_secret_is_visible_in_the_container_only(installation: Installation) -> None:
    job = installation.post(
        "/jobs", {"name": "j", "secrets": {"key": SECRET}, "tasks": [LEAKING, USING, FAILING]}
    )

    ended = installation.wait_for_job(job["id"])

    assert [task["state"] for task in ended["execution"]] == ["COMPLETED", "COMPLETED", "FAILED"]
    assert installation.read_log(f"/jobs/{job['id']}") == "correct-\n[REDACTED]\n[REDACTED]\nexit code 1\n"
    responses = [requests.get(f"{installation.url}{route}", timeout=10).text for route in ("/jobs", "/nodes")]
    for text in (str(ended), *responses, installation.process_log()):
        assert SECRET not in text
    for file in installation.data_dir.rglob("*"):
        if file.is_file() and not file.name.startswith("tork.db"):
            assert SECRET.encode() not in file.read_bytes(), file


def _containers(engine: docker.DockerClient, job_id: str) -> list[str]:
    containers = engine.api.containers(all=True, filters={"label": f"tork.job={job_id}"})
    return [container["State"] for container in containers]
