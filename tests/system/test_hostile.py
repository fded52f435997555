"""While one user attacks the installation, the small jobs of another are answered quickly, and all complete.

`make hostile` runs these: each attack lasts several seconds.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import docker
import pytest
import requests

from tests.system.installation import Installation, running_installation
from tests.system.victim import SMALL_TASK, Victim, attacking

pytestmark = pytest.mark.hostile


@pytest.fixture(scope="module")
def attacked(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    del engine
    data_dir = tmp_path_factory.mktemp("hostile") / "data"
    with running_installation(
        data_dir, "--queue", "default:2", "--queue", "attacker:1", environment={"TORK_PULL_TIMEOUT": "10s"}
    ) as installation:
        yield installation


def poison(name: str, **job: object) -> dict[str, object]:
    """Return a job for the attacker's queue."""
    tasks = [{"name": name, "image": "busybox:stable", "run": "true", "queue": "attacker"}]
    return {"name": name, "tasks": tasks, **job}


POISON_JOBS = {
    "expressions": poison(
        "expressions", output="{{ len(map(1..100000, map(1..1000, # * 2))) }}", inputs={"a": "b"}
    ),
    "webhooks": poison(
        "webhooks",
        webhooks=[
            {
                "url": "http://127.0.0.1:1/{{ len(map(1..100000, map(1..1000, #))) }}",
                "event": "task.StateChange",
            }
        ]
        * 20,
    ),
    "many tasks": {"name": "many", "tasks": [{**SMALL_TASK, "queue": "attacker"}] * 5000},
    "a large fan-out": {
        "name": "fan",
        "tasks": [
            {
                "name": "each",
                "each": {"list": "{{ sequence(0, 20000) }}", "task": {**SMALL_TASK, "queue": "attacker"}},
            }
        ],
    },
    "many secrets": poison("secrets", secrets={f"s{number}": f"secret-{number}" for number in range(1000)}),
    "queues": {
        "name": "queues",
        "tasks": [
            {
                "name": "each",
                "each": {
                    "list": "{{ sequence(0, 500) }}",
                    "task": {**SMALL_TASK, "queue": "q-{{ item.value }}"},
                },
            }
        ],
    },
}


@pytest.mark.parametrize("name", POISON_JOBS)
def test_poison_jobs_keep_nobody_waiting(attacked: Installation, name: str) -> None:
    victim = Victim(attacked)
    submitted: list[str] = []

    def attack() -> None:
        response = requests.post(f"{attacked.url}/jobs", json=POISON_JOBS[name], timeout=30)
        if response.ok:
            submitted.append(response.json()["id"])
        time.sleep(0.5)

    with attacking(attack):
        victim.work()
    for job_id in submitted:
        requests.put(f"{attacked.url}/jobs/{job_id}/cancel", timeout=60)
    victim.check()


def test_flood_of_unfinished_requests_keeps_nobody_waiting(attacked: Installation) -> None:
    victim = Victim(attacked)
    with ExitStack() as connections:
        for number in range(400):
            connection = connections.enter_context(
                closing(socket.create_connection(("127.0.0.1", attacked.port)))
            )
            connection.sendall((b"POST /jobs HTTP/1.1\r\nHo", _HALF_BODY, b"")[number % 3])
        victim.work()
    victim.check()


_HALF_BODY = b"POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Type: text/yaml\r\nContent-Length: 9000\r\n\r\nname"


def test_waiting_clients_keep_nobody_waiting(attacked: Installation) -> None:
    victim = Victim(attacked)
    job = poison("wait", wait={"timeout": "60s"})

    def attack() -> None:
        with suppress(requests.Timeout):
            requests.post(f"{attacked.url}/jobs", json=job, timeout=0.2)

    with attacking(attack):
        victim.work()
    victim.check()


class _Dripping(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        with suppress(OSError):
            while True:
                self.wfile.write(b"H")
                time.sleep(1)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  as in the base class
        """Log nothing."""


def test_dripping_webhook_receiver_keeps_nobody_waiting(attacked: Installation) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Dripping)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    victim = Victim(attacked)
    hook = {"url": f"http://127.0.0.1:{server.server_port}/", "event": "job.StateChange"}
    try:
        with attacking(lambda: attacked.post("/jobs", poison("drip", webhooks=[hook] * 5))):
            victim.work()
        victim.check()
    finally:
        server.shutdown()
        server.server_close()


def test_output_flood_keeps_nobody_waiting(attacked: Installation) -> None:
    victim = Victim(attacked)
    task = {"name": "flood", "image": "busybox:stable", "queue": "attacker", "timeout": "20s", "run": "yes"}
    job_id = attacked.post("/task", task)["jobId"]
    victim.work()
    requests.put(f"{attacked.url}/jobs/{job_id}/cancel", timeout=30)
    victim.check()
