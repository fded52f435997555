"""A user who fills the disk, and a datastore that is frozen, keep the others waiting for seconds at most.

`make hostile` runs these too.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
import pytest
import requests

from scripts import servers
from scripts.server_process import Server
from tests.eventually import eventually
from tests.servers.freezing import frozen
from tests.system.installation import ENDED, LONG_LEASE, Installation, running_installation
from tests.system.small_disk import FILL, disk
from tests.system.victim import SMALL_TASK, Victim, attacking
from tork_celery.api.openapi import ROUTES, Route

__all__ = ["disk"]

pytestmark = pytest.mark.hostile

IMAGE = "busybox:stable"
LONGEST_ANSWER_S = 5.0
_WITHOUT_DATASTORE = {"/openapi.json", "/docs", "/schema/job.json", "/health/live", "/config", "/validate"}
_EVENTS = "/events"
_HEALTH = "/health"
_FOR_ADMINS = ("/users", "/audit")
"""Without authentication, these are refused before the datastore is asked."""


JOB: dict[str, object] = {"name": "t", "tasks": [SMALL_TASK]}
DOCUMENTS: dict[str, dict[str, object]] = {
    "Task": {**SMALL_TASK},
    "ScheduledJob": {**JOB, "schedule": {"cron": "@daily"}},
    "Priority": {"priority": 5},
    "Rerun": {},
}
"""The bodies of requests by the name of their schema. Other routes get a job or ignore their body."""


@pytest.fixture
def on_a_small_disk(disk: Path, engine: docker.DockerClient) -> Iterator[Installation]:
    del engine  # only started
    queues = ("--queue", "default:2", "--queue", "attacker:1")
    with running_installation(disk, *queues, environment=LONG_LEASE) as installation:
        yield installation


def test_steps_that_fill_the_disk_keep_nobody_waiting(on_a_small_disk: Installation) -> None:
    victim = Victim(on_a_small_disk, may_be_refused=True)
    fill = {"name": "fill", "image": IMAGE, "queue": "attacker", "timeout": "60s", "run": f"{FILL}; exit 3"}
    filled = list[str]()

    def attack() -> None:
        submitted = requests.post(f"{on_a_small_disk.url}/task", json=fill, timeout=30)
        if submitted.ok:
            filled.append(submitted.json()["id"])
            eventually(lambda: on_a_small_disk.get(f"/task/{filled[-1]}")["state"] in ENDED, within_s=60)

    with attacking(attack):
        victim.work()

    victim.check()
    assert filled
    assert {on_a_small_disk.wait_for_task(task_id)["state"] for task_id in filled} == {"FAILED"}


@pytest.fixture
def postgresql() -> Iterator[Server]:
    with servers.running_postgresql() as server:
        yield server


@pytest.fixture
def on_postgresql(postgresql: Server, engine: docker.DockerClient, tmp_path: Path) -> Iterator[Installation]:
    del engine  # only started
    environment = {"TORK_DATASTORE_URL": postgresql.url, **LONG_LEASE}
    with running_installation(tmp_path / "data", "--queue", "default:2", environment=environment) as running:
        yield running


def call(installation: Installation, route: Route) -> tuple[int, float]:
    """Return the status of the answer to a route, and how long it took."""
    url = installation.url + route.path.replace("{name}", "default")
    for variable in ("{task_id}", "{job_id}", "{schedule_id}"):
        url = url.replace(variable, "some-id")
    query = {"topic": "jobs"} if route.path == _EVENTS else {}
    start = time.monotonic()
    answer = requests.request(
        route.method, url, params=query, json=DOCUMENTS.get(route.body or "", JOB), timeout=30
    )
    return answer.status_code, time.monotonic() - start


def test_frozen_datastore_is_503_within_seconds_and_loses_no_job(
    on_postgresql: Installation, postgresql: Server
) -> None:
    running = on_postgresql.post(
        "/task", {**SMALL_TASK, "run": "echo started; sleep 3; echo -n done > $TORK_OUTPUT"}
    )
    eventually(lambda: "started" in on_postgresql.read_log(f"/tasks/{running['id']}"))
    needing = [route for route in ROUTES if route.path not in _WITHOUT_DATASTORE]
    others = [route for route in ROUTES if route.path in _WITHOUT_DATASTORE]

    with frozen(postgresql), ThreadPoolExecutor(len(needing)) as threads:
        answers = list(threads.map(lambda route: call(on_postgresql, route), needing))
        for route in others:
            status, duration_s = call(on_postgresql, route)
            assert (route.path, status, duration_s < 1.0) == (route.path, 200, True)

    for route, (status, duration_s) in zip(needing, answers, strict=True):
        allowed = {503} | ({400, 403} if route.path.startswith(_FOR_ADMINS) else set())
        allowed |= {200} if route.path == _HEALTH else set()  # which may be a second old
        assert status in allowed, (route, status)
        assert duration_s < LONGEST_ANSWER_S, (route, duration_s)
    eventually(lambda: requests.get(f"{on_postgresql.url}/health", timeout=10).ok)
    assert on_postgresql.wait_for_task(running["id"])["result"] == "done"
    victim = Victim(on_postgresql)
    victim.work()
    victim.check()
