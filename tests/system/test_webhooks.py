"""A webhook arrives, through an outage of its receiver too, in order and with its secrets."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import docker
import pytest

from tests.eventually import eventually
from tests.serving import serving
from tests.system.installation import Installation, free_port

TASK = {"name": "t", "image": "busybox:stable", "run": "echo -n s3cret > $TORK_OUTPUT", "var": "x"}


class Receiver(ThreadingHTTPServer):
    """Remembers what it was sent, as (headers, document); answers 503 to the first `refusals`."""

    def __init__(self, port: int, *, refusals: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.refusals = refusals
        self.refused = 0
        self.heard: list[tuple[dict[str, str], Any]] = []

    @property
    def states(self) -> list[str]:
        return [body["state"] for _, body in self.heard]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        refuse = self.server.refused < self.server.refusals
        if refuse:
            self.server.refused += 1
        else:
            self.server.heard.append((dict(self.headers), body))
        self.send_response(503 if refuse else 204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """Says nothing."""


def job(port: int, **webhook: Any) -> dict[str, Any]:
    hook = {"url": f"http://127.0.0.1:{port}/{{{{ job.id }}}}"} | webhook
    return {"name": "j", "secrets": {"key": "s3cret"}, "webhooks": [hook], "tasks": [TASK]}


def test_the_states_of_a_job_arrive_in_order(engine: docker.DockerClient, installation: Installation) -> None:
    del engine
    with serving(Receiver(port := free_port())) as receiver:
        made = installation.post("/jobs", job(port, headers={"X-Key": "{{ secrets.key }}"}))
        ended = installation.ended_job(made["id"])
        eventually(lambda: "COMPLETED" in receiver.states)

    assert receiver.states == ["SCHEDULED", "RUNNING", "COMPLETED"]
    headers, last = receiver.heard[-1]
    assert headers["X-Key"] == "s3cret"
    assert headers["Content-Type"] == "application/json"
    assert {key: last[key] for key in ("id", "name", "state")} == {
        key: ended[key] for key in ("id", "name", "state")
    }
    assert "s3cret" not in json.dumps([body for _, body in receiver.heard])


def test_a_task_tells_of_itself(engine: docker.DockerClient, installation: Installation) -> None:
    del engine
    condition = {"event": "task.StateChange", "if": "task.state == 'COMPLETED'"}
    with serving(Receiver(port := free_port())) as receiver:
        made = installation.post("/jobs", job(port, **condition))
        eventually(lambda: receiver.heard)

    [(_, body)] = receiver.heard
    assert (body["jobId"], body["state"], body["result"]) == (made["id"], "COMPLETED", "[REDACTED]")


@pytest.mark.parametrize("away", ["it answers 503", "nobody answers"])
def test_an_outage_of_the_receiver_holds_up_no_job_and_loses_nothing(
    engine: docker.DockerClient, installation: Installation, away: str
) -> None:
    del engine
    port = free_port()
    refusals = 2 if away == "it answers 503" else 0
    if refusals:
        with serving(Receiver(port, refusals=refusals)) as receiver:
            assert _ended(installation, port)["state"] == "COMPLETED"
            eventually(lambda: len(receiver.heard) == 3, within_s=60)
    else:
        assert _ended(installation, port)["state"] == "COMPLETED"
        with serving(Receiver(port)) as receiver:
            eventually(lambda: len(receiver.heard) == 3, within_s=60)

    assert receiver.states == ["SCHEDULED", "RUNNING", "COMPLETED"]


def _ended(installation: Installation, port: int) -> dict[str, Any]:
    return installation.ended_job(installation.post("/jobs", job(port))["id"])
