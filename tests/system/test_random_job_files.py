"""A random job file is rejected, fails with a reason, or completes. FUZZ_FILES sets how many are tried."""

import os
from collections.abc import Iterator
from typing import Any

import docker
import pytest
import requests
from hypothesis import HealthCheck, Phase, given, settings

from tests.eventually import eventually
from tests.system.installation import ENDED, Installation, running_installation
from tests.system.random_job_files import TASK_TIMEOUT_S, job_files

FILES = int(os.environ.get("FUZZ_FILES", "200")) // 2
ENVIRONMENT = {"TORK_SHELL_ALLOW_ROOT": "true", "TORK_PULL_TIMEOUT": "5s"}
_WITHIN_S = 60.0 + FILES * TASK_TIMEOUT_S


@pytest.fixture(params=["docker", "shell"])
def fuzzed(
    request: pytest.FixtureRequest, engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    del engine
    data_dir = tmp_path_factory.mktemp("fuzz") / "data"
    options = ("--queue", "default:4", "--runtime", request.param)
    with running_installation(data_dir, *options, environment=ENVIRONMENT) as installation:
        yield installation


def test_random_job_file_is_rejected_fails_with_a_reason_or_completes(fuzzed: Installation) -> None:
    accepted: list[str] = []

    @given(job=job_files())
    @settings(
        max_examples=FILES,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def submit(job: dict[str, Any]) -> None:
        response = requests.post(f"{fuzzed.url}/jobs", json=job, timeout=30)
        assert response.status_code in (200, 400), (response.status_code, response.text, job)
        if response.status_code == 200:
            accepted.append(response.json()["id"])
        else:
            assert response.json()["message"]

    submit()
    ended = eventually(lambda: _all_ended(fuzzed, accepted), within_s=_WITHIN_S, explain=fuzzed.process_log)

    assert len(accepted) > FILES // 10, "most files are rejected"
    assert [job for job in ended if job["state"] == "FAILED" and not job.get("error")] == []
    assert requests.get(f"{fuzzed.url}/health", timeout=10).status_code == 200
    assert "Traceback" not in fuzzed.process_log()


def _all_ended(installation: Installation, job_ids: list[str]) -> list[dict[str, Any]]:
    """Return the jobs when all have ended, else an empty list."""
    jobs = [installation.get(f"/jobs/{job_id}") for job_id in job_ids]
    return jobs if {job["state"] for job in jobs} <= ENDED else []
