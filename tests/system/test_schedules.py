"""A running installation fires scheduled jobs."""

import sqlite3
import time
from contextlib import closing
from functools import partial
from typing import Any

import docker
import requests

from tests.eventually import eventually
from tests.system.installation import Installation

NIGHTLY = {
    "name": "nightly",
    "schedule": {"cron": "30 4 1 1 *"},
    "tasks": [{"name": "t", "image": "busybox:stable", "run": "true"}],
}


def make_due(installation: Installation, schedule_id: str) -> None:
    """Set the next firing of a schedule to now, in the datastore."""
    with closing(sqlite3.connect(installation.data_dir / "tork.db", timeout=10)) as datastore, datastore:
        datastore.execute(
            "UPDATE scheduled_jobs SET next_at = ? WHERE id = ?", (float(int(time.time())), schedule_id)
        )


def jobs_of_schedule(installation: Installation, schedule_id: str) -> list[dict[str, Any]]:
    jobs = installation.get("/jobs")["items"]
    return [job for job in jobs if job.get("schedule", {}).get("id") == schedule_id]


def has_jobs(installation: Installation, schedule_id: str, number: int) -> bool:
    return len(jobs_of_schedule(installation, schedule_id)) == number


def test_each_firing_makes_one_job_until_the_schedule_is_paused(
    engine: docker.DockerClient, installation: Installation
) -> None:
    del engine  # only started
    scheduled = installation.post("/scheduled-jobs", NIGHTLY)
    for number in (1, 2):
        make_due(installation, scheduled["id"])
        eventually(partial(has_jobs, installation, scheduled["id"], number))
        ended = installation.wait_for_job(jobs_of_schedule(installation, scheduled["id"])[0]["id"])
        assert ended["state"] == "COMPLETED"
        assert ended["schedule"] == {"id": scheduled["id"], "cron": "30 4 1 1 *"}

    path = f"{installation.url}/scheduled-jobs/{scheduled['id']}"
    assert installation.get(f"/scheduled-jobs/{scheduled['id']}")["nextRunAt"] == scheduled["nextRunAt"]
    assert requests.put(f"{path}/pause", timeout=10).ok
    assert installation.get(f"/scheduled-jobs/{scheduled['id']}")["state"] == "PAUSED"
    assert requests.delete(path, timeout=10).ok
    assert len(jobs_of_schedule(installation, scheduled["id"])) == 2
