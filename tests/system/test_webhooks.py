"""Webhook calls arrive in order and with their secrets, also after an outage of the receiver."""

import json
from typing import Any

import docker
import pytest

from tests.eventually import eventually
from tests.serving import serving
from tests.system.installation import Installation, free_port
from tests.system.webhook_receiver import Receiver

TASK = {"name": "t", "image": "busybox:stable", "run": "echo -n s3cret > $TORK_OUTPUT", "var": "x"}


def job(port: int, **webhook: Any) -> dict[str, Any]:
    hook = {"url": f"http://127.0.0.1:{port}/{{{{ job.id }}}}"} | webhook
    return {"name": "j", "secrets": {"key": "s3cret"}, "webhooks": [hook], "tasks": [TASK]}


def test_states_of_a_job_arrive_in_order(engine: docker.DockerClient, installation: Installation) -> None:
    del engine  # only started
    with serving(Receiver(port := free_port())) as receiver:
        submitted = installation.post("/jobs", job(port, headers={"X-Key": "{{ secrets.key }}"}))
        ended = installation.wait_for_job(submitted["id"])
        eventually(lambda: "COMPLETED" in receiver.states)

    assert receiver.states == ["SCHEDULED", "RUNNING", "COMPLETED"]
    headers, last = receiver.calls[-1]
    assert headers["X-Key"] == "s3cret"
    assert headers["Content-Type"] == "application/json"
    assert {key: last[key] for key in ("id", "name", "state")} == {
        key: ended[key] for key in ("id", "name", "state")
    }
    assert "s3cret" not in json.dumps([body for _, body in receiver.calls])


def test_state_of_a_task_arrives_when_the_condition_holds(
    engine: docker.DockerClient, installation: Installation
) -> None:
    del engine  # only started
    condition = {"event": "task.StateChange", "if": "task.state == 'COMPLETED'"}
    with serving(Receiver(port := free_port())) as receiver:
        submitted = installation.post("/jobs", job(port, **condition))
        eventually(lambda: receiver.calls)

    [(_, body)] = receiver.calls
    assert (body["jobId"], body["state"], body["result"]) == (submitted["id"], "COMPLETED", "[REDACTED]")


@pytest.mark.parametrize("outage", ["503", "connection refused"])
def test_receiver_outage_delays_no_job_and_loses_no_call(
    engine: docker.DockerClient, installation: Installation, outage: str
) -> None:
    del engine  # only started
    port = free_port()
    if outage == "503":
        with serving(Receiver(port, failures=2)) as receiver:
            assert _run_job(installation, port)["state"] == "COMPLETED"
            eventually(lambda: len(receiver.calls) == 3, within_s=60)
    else:
        assert _run_job(installation, port)["state"] == "COMPLETED"
        with serving(Receiver(port)) as receiver:
            eventually(lambda: len(receiver.calls) == 3, within_s=60)

    assert receiver.states == ["SCHEDULED", "RUNNING", "COMPLETED"]


def _run_job(installation: Installation, port: int) -> dict[str, Any]:
    return installation.wait_for_job(installation.post("/jobs", job(port))["id"])
