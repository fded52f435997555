"""A short run on each pair of real servers; test_servers.py has the long ones."""

from collections import Counter
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest

from scripts import servers
from tests.eventually import eventually
from tests.servers.datastores import a_database
from tests.system.installation import LONG_LEASE, Installation, installed
from tests.system.visits import Visits, visits

IMAGE = "busybox:stable"
BROKERS = {"redis": servers.redis, "rabbitmq": servers.rabbitmq}
QUEUES = ["default", "other", "default"]


@pytest.mark.parametrize("broker", BROKERS)
def test_a_job_over_two_queues_outlives_a_killed_worker(
    engine: docker.DockerClient, tmp_path: Path, postgresql_server: str, broker: str
) -> None:
    """Each of its steps runs once."""
    with (
        BROKERS[broker]() as broker_url,
        a_database(postgresql_server) as datastore_url,
        visits(engine) as seen,
        installed(
            tmp_path / "data",
            *("--queue", "default:2", "--queue", "other:1"),
            environment={"TORK_BROKER_URL": broker_url, "TORK_DATASTORE_URL": datastore_url, **LONG_LEASE},
        ) as installation,
    ):
        tasks = [_task(seen, f"t{number}", queue) for number, queue in enumerate(QUEUES)]
        job_id = installation.post("/jobs", {"name": "j", "tasks": tasks})["id"]
        eventually(lambda: seen.count["t0-main"] == 1)
        _worker(installation, "default").kill()
        ended = installation.ended_job(job_id)
    assert ended["state"] == "COMPLETED"
    assert not [task for task in ended["execution"] if "redelivered" in task]
    steps = [f"{task['name']}-{step}" for task in tasks for step in ("pre", "main", "post")]
    assert seen.count == Counter(steps)


def _task(seen: Visits, name: str, queue: str) -> dict[str, Any]:
    pre, main, post = (
        {"image": IMAGE, "run": seen.script(f"{name}-{step}")} for step in ("pre", "main", "post")
    )
    return {
        "name": name,
        "queue": queue,
        **main,
        "run": f"{main['run']}; sleep 1",
        "pre": [pre],
        "post": [post],
    }


def _worker(installation: Installation, queue: str) -> psutil.Process:
    assert installation.process is not None
    children = psutil.Process(installation.process.pid).children()
    return next(child for child in children if queue in child.cmdline())
