"""A scheduled job is made by a running installation when its time comes."""

import sqlite3
import time
from contextlib import closing
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


def let_it_be_time(installation: Installation, schedule_id: str) -> None:
    """As if the clock had come to the schedule's next time."""
    with closing(sqlite3.connect(installation.data_dir / "tork.db", timeout=10)) as database, database:
        database.execute(
            "UPDATE scheduled_jobs SET next_at = ? WHERE id = ?", (float(int(time.time())), schedule_id)
        )


def made(installation: Installation, schedule_id: str) -> list[dict[str, Any]]:
    jobs = installation.get("/jobs")["items"]
    return [job for job in jobs if job.get("schedule", {}).get("id") == schedule_id]


def test_each_time_makes_one_job_until_it_is_paused(
    engine: docker.DockerClient, installation: Installation
) -> None:
    del engine
    scheduled = installation.post("/scheduled-jobs", NIGHTLY)
    for number in (1, 2):
        let_it_be_time(installation, scheduled["id"])
        eventually(lambda number=number: len(made(installation, scheduled["id"])) == number)
        ended = installation.ended_job(made(installation, scheduled["id"])[0]["id"])
        assert ended["state"] == "COMPLETED"
        assert ended["schedule"] == {"id": scheduled["id"], "cron": "30 4 1 1 *"}

    path = f"{installation.url}/scheduled-jobs/{scheduled['id']}"
    assert installation.get(f"/scheduled-jobs/{scheduled['id']}")["nextRunAt"] == scheduled["nextRunAt"]
    assert requests.put(f"{path}/pause", timeout=10).ok
    assert installation.get(f"/scheduled-jobs/{scheduled['id']}")["state"] == "PAUSED"
    assert requests.delete(path, timeout=10).ok
    assert len(made(installation, scheduled["id"])) == 2
