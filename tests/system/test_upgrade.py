"""A datastore of an earlier version, with jobs in the middle of their work, is migrated and its jobs end.

Version 0.1.0 wrote `data/datastore-0.1.0.db.gz`. Its standalone mode was killed while it had a running
task, a retry, composites, a subjob, a schedule, and tasks for a queue without a worker.
"""

import gzip
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.eventually import eventually
from tests.system.installation import Installation, running_installation

DATASTORE = Path(__file__).parent / "data" / "datastore-0.1.0.db.gz"
COMPLETED = {
    "completed": "42!",
    "running": None,
    "waiting for a worker": None,
    "composites": "end",
    "subjob": None,
    "child": "from the child",
}


@pytest.fixture(scope="module")
def upgraded(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Start this version on the datastore of 0.1.0, with a worker for each queue."""
    del engine
    data_dir = tmp_path_factory.mktemp("upgrade") / "data"
    data_dir.mkdir(mode=0o700)
    datastore = data_dir / "tork.db"
    datastore.write_bytes(gzip.decompress(DATASTORE.read_bytes()))
    with closing(sqlite3.connect(datastore)) as connection, connection:
        connection.execute("UPDATE tasks SET due_at = 1 WHERE state = 'PENDING'")  # ten hours have passed
    with running_installation(data_dir, "--queue", "default:2", "--queue", "later:1") as installation:
        yield installation


@pytest.fixture(scope="module")
def jobs(upgraded: Installation) -> dict[str, dict[str, Any]]:
    """Return all jobs by name, when they have ended."""

    def ended() -> dict[str, dict[str, Any]]:
        shown = {job["name"]: job for job in upgraded.get("/jobs?size=20")["items"]}
        states = {job["state"] for job in shown.values()}
        return shown if states <= {"COMPLETED", "FAILED"} else {}

    return eventually(ended, within_s=120, explain=upgraded.process_log)


@pytest.mark.parametrize("name", COMPLETED)
def test_job_of_the_earlier_version_completes(jobs: dict[str, dict[str, Any]], name: str) -> None:
    assert jobs[name]["state"] == "COMPLETED", jobs[name]
    assert jobs[name].get("result") == COMPLETED[name]


def test_retry_of_the_earlier_version_is_the_second_attempt(
    upgraded: Installation, jobs: dict[str, dict[str, Any]]
) -> None:
    assert jobs["retrying"]["error"].startswith("exit code 1")

    execution = upgraded.get(f"/jobs/{jobs['retrying']['id']}")["execution"]

    assert [task["state"] for task in execution] == ["COMPLETED", "FAILED", "FAILED"]
    assert execution[-1]["retry"]["attempts"] == 1


def test_results_and_logs_of_ended_jobs_are_kept(
    upgraded: Installation, jobs: dict[str, dict[str, Any]]
) -> None:
    assert upgraded.get(f"/jobs/{jobs['completed']['id']}")["context"]["tasks"] == {"x": "42"}
    assert "some output" in upgraded.read_log(f"/jobs/{jobs['completed']['id']}")


def test_secrets_of_the_earlier_version_are_masked(
    upgraded: Installation, jobs: dict[str, dict[str, Any]]
) -> None:
    assert "s3cr3t-of-old" not in str(upgraded.get(f"/jobs/{jobs['retrying']['id']}"))


def test_search_finds_jobs_of_the_earlier_version(upgraded: Installation) -> None:
    found = upgraded.get("/jobs?q=upgrade")["items"]

    assert [job["name"] for job in found] == ["completed"]


def test_schedule_of_the_earlier_version_is_kept(upgraded: Installation) -> None:
    [schedule] = upgraded.get("/scheduled-jobs")["items"]

    assert (schedule["name"], schedule["state"]) == ("hourly", "ACTIVE")
    assert schedule["nextRunAt"]
