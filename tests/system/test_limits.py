"""Limits of memory and time, with real containers."""

from pathlib import Path

import yaml

from tests.system.installation import Installation

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_task_that_exceeds_its_memory_limit_runs_again_with_more(installation: Installation) -> None:
    posted = installation.post("/jobs", yaml.safe_load((EXAMPLES / "memory.yaml").read_text()))

    job = installation.wait_for_job(posted["id"])

    assert job["state"] == "COMPLETED", job.get("error")
    first, second = job["execution"]
    assert "exceeded its memory limit of 16m" in first["error"]
    assert [each["limits"]["memory"] for each in (first, second)] == ["16m", str(64 * 2**20)]


def test_job_that_takes_too_long_fails_and_its_task_is_stopped(installation: Installation) -> None:
    posted = installation.post("/jobs", yaml.safe_load((EXAMPLES / "timeout.yaml").read_text()))

    job = installation.wait_for_job(posted["id"])

    assert (job["state"], job["error"]) == ("FAILED", "timed out after 2s")
    assert [task["state"] for task in job["execution"]] == ["STOPPED"]
