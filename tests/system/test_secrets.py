"""Secrets show nowhere, and cost a step no more than its output."""

import base64
import json
from typing import Any

import docker
import pytest
import requests

from tests.eventually import eventually
from tests.system.installation import Installation

IMAGE = "busybox:stable"
CERTIFICATE = "\n".join(base64.b64encode(f"{number:048}".encode()).decode() for number in range(2000))


pytestmark = pytest.mark.usefixtures("engine")


def run(installation: Installation, **keys: Any) -> tuple[dict[str, Any], str]:
    """Run a job of one task. Return the job and its log."""
    task = {"name": "t", "image": IMAGE} | keys.pop("task")
    submitted = installation.post("/jobs", {"name": "j", "tasks": [task]} | keys)
    return installation.wait_for_job(submitted["id"]), installation.read_log(f"/jobs/{submitted['id']}")


def test_value_is_masked_without_the_white_space_around_it(installation: Installation) -> None:
    job, log = run(
        installation,
        secrets={"pin": "abc123\n", "p": "  hunter2  "},
        task={
            "env": {"PIN": "{{ secrets.pin }}", "P": "{{ secrets.p }}"},
            "run": 'echo "pin is <$(echo $PIN)>"; echo user:$PIN@host; echo u=$P.',
        },
    )
    assert log == "pin is <[REDACTED]>\nuser:[REDACTED] @host\nu= [REDACTED] .\n"
    assert "abc123" not in str(job)
    assert "hunter2" not in str(job)


def test_value_is_masked_as_json_and_base64(installation: Installation) -> None:
    job, log = run(
        installation,
        secrets={"p": 'pa"ss\\word'},
        task={
            "env": {"ALL": "{{ secrets }}", "J": "{{ toJSON(secrets) }}", "P": "{{ secrets.p }}"},
            "run": 'echo "$ALL"; echo "$J"; printf "ada:%s" "$P" | base64',
        },
    )
    text = log + json.dumps(job)
    assert 'pa\\"ss' not in text
    assert base64.b64encode(b'ada:pa"ss\\word').decode()[6:16] not in text


def test_base64_of_a_secret_is_masked_where_an_expression_makes_it(installation: Installation) -> None:
    header = "Basic " + base64.b64encode(b"ada:hunter2-secret").decode()
    job, log = run(
        installation,
        secrets={"p": "hunter2-secret"},
        task={
            "env": {"AUTH": "Basic {{ toBase64('ada:' + secrets.p) }}"},
            "run": 'echo "$AUTH" | tee $TORK_OUTPUT',
            "var": "header",
        },
    )
    assert log.startswith("Basic ")
    assert "[REDACTED]" in log
    for text in (log, json.dumps(job)):
        assert header not in text
        assert base64.b64encode(b"hunter2-secret").decode()[:-4] not in text
        assert header[12:-4] not in text


def test_fields_of_the_system_are_readable_whatever_the_secrets_are(installation: Installation) -> None:
    job, _ = run(
        installation,
        secrets={"year": "202", "type": "volume", "queue": "def", "state": "COMPLETED"},
        task={"run": "true", "volumes": ["/data"]},
    )
    [task] = job["execution"]
    assert job["createdAt"].startswith("20")
    assert (job["state"], task["state"], task["queue"]) == ("COMPLETED", "COMPLETED", "default")


def test_secret_as_a_key_is_masked(installation: Installation) -> None:
    job, _ = run(
        installation,
        secrets={"k": "hunter2SuperSecretValue"},
        task={"run": "echo -n x", "var": "{{ secrets.k }}"},
    )
    assert job["context"]["tasks"] == {"[REDACTED]": "x"}
    assert "hunter2SuperSecretValue" not in json.dumps(job)


def test_log_of_the_worker_shows_no_secret_of_an_image(installation: Installation) -> None:
    secret = "hunter2supersecretvalue"
    task = {"name": "t", "image": "127.0.0.1:1/{{ secrets.t }}/x:1", "run": "true"}
    job = installation.post("/jobs", {"name": "j", "secrets": {"t": secret}, "tasks": [task]})
    eventually(lambda: "127.0.0.1:1/[REDACTED]/x:1" in installation.read_log(f"/jobs/{job['id']}"))

    requests.put(f"{installation.url}/jobs/{job['id']}/cancel", timeout=10).raise_for_status()

    ended = installation.wait_for_job(job["id"])
    assert secret not in json.dumps(ended) + installation.process_log()


def test_step_with_a_certificate_as_a_secret_can_print_much_and_be_cancelled(
    installation: Installation, engine: docker.DockerClient
) -> None:
    task = {"name": "t", "image": IMAGE, "run": "while :; do seq 1 100000 >&2; done"}
    job = installation.post("/jobs", {"name": "j", "secrets": {"ca": CERTIFICATE}, "tasks": [task]})
    eventually(lambda: installation.read_log(f"/jobs/{job['id']}"))

    requests.put(f"{installation.url}/jobs/{job['id']}/cancel", timeout=10).raise_for_status()

    assert installation.wait_for_job(job["id"])["state"] == "CANCELLED"
    label = {"label": f"tork.job={job['id']}"}
    eventually(lambda: not engine.api.containers(all=True, filters=label))


def test_job_with_more_values_than_can_be_masked_is_refused(installation: Installation) -> None:
    secrets = {f"k{number}": str(number) for number in range(1001)}
    body = {"name": "j", "tasks": [{"name": "t", "image": IMAGE}], "secrets": secrets}
    response = requests.post(f"{installation.url}/jobs", json=body, timeout=30)
    assert response.status_code == 400
    assert "secrets.k1000: more than 1,000 values" in response.json()["message"]
