"""Brokers with TLS: certificates and passwords are checked."""

import os
import subprocess
import sys
from pathlib import Path

import docker
import pytest

from scripts import servers
from tests.system.installation import running_installation

pytestmark = pytest.mark.servers

BROKERS = {"rediss": servers.running_redis, "amqps": servers.running_rabbitmq}
SELF_SIGNED = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a key and a self-signed certificate for 127.0.0.1."""
    directory = tmp_path_factory.mktemp("certificate")
    directory.chmod(0o755)
    files: list[str | Path] = ["-keyout", directory / "key.pem", "-out", directory / "cert.pem"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", *SELF_SIGNED, *names, *files], check=True, capture_output=True)
    return directory


@pytest.mark.parametrize("scheme", BROKERS)
def test_task_runs_with_a_tls_broker_whose_certificate_is_checked(
    engine: docker.DockerClient, tmp_path: Path, certificate: Path, scheme: str
) -> None:
    del engine  # only started
    with BROKERS[scheme](tls=certificate) as broker:
        assert broker.url.startswith(f"{scheme}://")
        environment = {"TORK_BROKER_URL": broker.url, "TORK_BROKER_CA": str(certificate / "cert.pem")}
        with running_installation(
            tmp_path / "data", "--queue", "default:1", environment=environment
        ) as installation:
            task = installation.run_task({"name": "t", "image": "busybox:stable", "run": "echo -n hello"})
            assert task["result"] == "hello"
            assert _ping(environment).returncode == 0
            without_ca = _ping({**environment, "TORK_BROKER_CA": ""})
            wrong_password = _ping({**environment, "TORK_BROKER_URL": broker.url.replace("@", "x@")})
    assert without_ca.returncode != 0
    assert "certificate verify failed" in without_ca.stderr
    assert wrong_password.returncode != 0


def _ping(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "celery", "-A", "tork_celery", "inspect", "ping"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
