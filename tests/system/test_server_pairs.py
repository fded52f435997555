"""A short run on each pair of real servers. The long runs are in test_servers.py."""

from collections import Counter
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest

from scripts import servers
from tests.eventually import eventually
from tests.servers.datastores import temporary_database
from tests.system.installation import LONG_LEASE, Installation, running_installation
from tests.system.run_counter import RunCounter, counting_runs

IMAGE = "busybox:stable"
BROKERS = {"redis": servers.redis, "rabbitmq": servers.rabbitmq}
QUEUES = ["default", "other", "default"]


@pytest.mark.parametrize("broker", BROKERS)
def test_job_over_two_queues_survives_a_killed_worker(
    engine: docker.DockerClient, tmp_path: Path, postgresql_server: str, broker: str
) -> None:
    """Each step runs once."""
    with (
        BROKERS[broker]() as broker_url,
        temporary_database(postgresql_server) as datastore_url,
        counting_runs(engine) as runs,
        running_installation(
            tmp_path / "data",
            *("--queue", "default:2", "--queue", "other:1"),
            environment={"TORK_BROKER_URL": broker_url, "TORK_DATASTORE_URL": datastore_url, **LONG_LEASE},
        ) as installation,
    ):
        tasks = [_task(runs, f"t{number}", queue) for number, queue in enumerate(QUEUES)]
        job_id = installation.post("/jobs", {"name": "j", "tasks": tasks})["id"]
        eventually(lambda: runs.counts["t0-main"] == 1)
        _worker(installation, "default").kill()
        ended = installation.wait_for_job(job_id)
    assert ended["state"] == "COMPLETED"
    assert not [task for task in ended["execution"] if "redelivered" in task]
    steps = [f"{task['name']}-{step}" for task in tasks for step in ("pre", "main", "post")]
    assert runs.counts == Counter(steps)


def _task(runs: RunCounter, name: str, queue: str) -> dict[str, Any]:
    pre, main, post = (
        {"image": IMAGE, "run": runs.script(f"{name}-{step}")} for step in ("pre", "main", "post")
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
