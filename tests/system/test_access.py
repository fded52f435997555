"""An installation with authentication: its users, and a job that is not for everybody."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
import requests

from tests.system.installation import Installation

BIN = Path(sys.executable).parent
EXAMPLE = Path(__file__).parents[2] / "examples" / "permissions.yaml"


@pytest.fixture(scope="module")
def guarded(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Its users are ada, an admin, and bob; passwords are like names."""
    del engine  # it is there, and watched
    data_dir = tmp_path_factory.mktemp("tork") / "data"
    made = Installation(data_dir, "--queue", "default:1", environment={"TORK_AUTH": "basic,key"})
    try:
        tork(made, "migration")
        tork(made, "users", "add", "ada", "--role", "admin", stdin="ada\n")
        tork(made, "users", "add", "bob", stdin="bob\n")
        made.start()
        yield made
    finally:
        made.close()


def tork(
    installation: Installation, *arguments: str, stdin: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "tork-celery", *arguments],
        env={**installation.environment, "TORK_URL": installation.url, **environment},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=not environment,
    )


def status(installation: Installation, path: str, **options: str) -> int:
    user = options.get("user")
    answer = requests.get(installation.url + path, auth=(user, user) if user else None, timeout=10)
    return answer.status_code


def test_users_run_jobs_and_see_what_is_for_them(guarded: Installation) -> None:
    key = tork(guarded, "users", "key", "ada").stdout.strip()
    ran = tork(guarded, "run", str(EXAMPLE), TORK_KEY=key)
    assert ran.returncode == 0, ran.stderr

    [job] = requests.get(guarded.url + "/jobs", auth=("ada", "ada"), timeout=10).json()["items"]
    assert job["createdBy"] == {"username": "ada"}
    assert status(guarded, f"/jobs/{job['id']}", user="ada") == 200
    assert status(guarded, f"/jobs/{job['id']}", user="bob") == 404
    assert requests.get(guarded.url + "/jobs", auth=("bob", "bob"), timeout=10).json()["totalItems"] == 0


def test_strangers_are_not_let_in(guarded: Installation) -> None:
    assert status(guarded, "/health") == 200
    assert status(guarded, "/jobs") == 401
    assert status(guarded, "/jobs", user="eve") == 401
    ran = tork(guarded, "run", str(EXAMPLE), TORK_USER="bob", TORK_PASSWORD="wrong")
    assert ran.returncode == 1
    assert (
        "the user name or the password is wrong; set TORK_KEY, or TORK_USER and TORK_PASSWORD" in ran.stderr
    )
