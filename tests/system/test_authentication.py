"""An installation with authentication: users, keys, and a job with permissions."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
import requests

from tests.eventually import eventually
from tests.serving import serving
from tests.system.installation import Installation, free_port
from tests.system.webhook_receiver import Receiver

BIN = Path(sys.executable).parent
EXAMPLE = Path(__file__).parents[2] / "examples" / "permissions.yaml"


@pytest.fixture(scope="module")
def installation(
    engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """An installation with the admin ada and the user bob, whose passwords are their names."""
    del engine  # only started
    data_dir = tmp_path_factory.mktemp("tork") / "data"
    environment = {"TORK_AUTH": "basic,key", "TORK_WEBHOOK_TARGETS": "localhost"}
    authenticating = Installation(data_dir, "--queue", "default:1", environment=environment)
    try:
        tork_celery(authenticating, "migration")
        tork_celery(authenticating, "users", "add", "ada", "--role", "admin", stdin="ada\n")
        tork_celery(authenticating, "users", "add", "bob", stdin="bob\n")
        authenticating.start()
        yield authenticating
    finally:
        authenticating.close()


def tork_celery(
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


def get_status(installation: Installation, path: str, user: str | None = None) -> int:
    response = requests.get(installation.url + path, auth=(user, user) if user else None, timeout=10)
    return response.status_code


def test_user_runs_a_job_that_others_do_not_see(installation: Installation) -> None:
    key = tork_celery(installation, "users", "key", "ada").stdout.strip()
    completed = tork_celery(installation, "run", str(EXAMPLE), TORK_KEY=key)
    assert completed.returncode == 0, completed.stderr

    [job] = requests.get(installation.url + "/jobs", auth=("ada", "ada"), timeout=10).json()["items"]
    assert job["createdBy"] == {"username": "ada"}
    assert get_status(installation, f"/jobs/{job['id']}", user="ada") == 200
    assert get_status(installation, f"/jobs/{job['id']}", user="bob") == 404
    assert requests.get(installation.url + "/jobs", auth=("bob", "bob"), timeout=10).json()["totalItems"] == 0


def test_requests_without_valid_credentials_are_rejected(installation: Installation) -> None:
    assert get_status(installation, "/health") == 200
    assert get_status(installation, "/jobs") == 401
    assert get_status(installation, "/jobs", user="eve") == 401
    completed = tork_celery(installation, "run", str(EXAMPLE), TORK_USER="bob", TORK_PASSWORD="wrong")
    assert completed.returncode == 4
    assert (
        "the user name or the password is wrong; set TORK_KEY, or TORK_USER and TORK_PASSWORD"
        in completed.stderr
    )


def test_webhooks_are_sent_to_allowed_targets_only(installation: Installation) -> None:
    port = free_port()
    hooks = [{"url": f"http://{host}:{port}/"} for host in ("127.0.0.1", "localhost", "[bad")]
    job = {"name": "j", "webhooks": hooks, "tasks": [{"name": "t", "image": "busybox:stable", "run": "true"}]}
    with serving(Receiver(port)) as receiver:
        answer = requests.post(f"{installation.url}/jobs", json=job, auth=("ada", "ada"), timeout=10)
        assert answer.ok, answer.text
        eventually(lambda: "COMPLETED" in receiver.states)
        eventually(lambda: installation.process_log().count("webhook.given_up") == 6)

    assert [headers["Host"] for headers, _ in receiver.calls] == [f"localhost:{port}"] * 3
    log = installation.process_log()
    assert log.count("127.0.0.1 is not a public address") == log.count("InvalidURL") == 3
    assert "webhook.broken" not in log
