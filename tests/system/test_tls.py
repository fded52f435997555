"""Brokers by TLS, whose certificates and passwords count."""

import os
import subprocess
import sys
from pathlib import Path

import docker
import pytest

from scripts import servers
from tests.system.installation import installed

pytestmark = pytest.mark.servers

BROKERS = {"rediss": servers.running_redis, "amqps": servers.running_rabbitmq}
SELF_SIGNED = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a key and a certificate of 127.0.0.1, signed by itself."""
    folder = tmp_path_factory.mktemp("certificate")
    folder.chmod(0o755)
    files = ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", *SELF_SIGNED, *names, *files], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("scheme", BROKERS)
def test_a_task_runs_over_a_broker_by_tls_which_is_checked(
    engine: docker.DockerClient, tmp_path: Path, certificate: Path, scheme: str
) -> None:
    del engine
    with BROKERS[scheme](tls=certificate) as broker:
        assert broker.url.startswith(f"{scheme}://")
        environment = {"TORK_BROKER_URL": broker.url, "TORK_BROKER_CA": str(certificate / "cert.pem")}
        with installed(tmp_path / "data", "--queue", "default:1", environment=environment) as installation:
            done = installation.run_task({"name": "t", "image": "busybox:stable", "run": "echo -n well"})
            assert done["result"] == "well"
            assert _ping(environment).returncode == 0
            unknown = _ping({**environment, "TORK_BROKER_CA": ""})
            wrong = _ping({**environment, "TORK_BROKER_URL": broker.url.replace("@", "x@")})
    assert unknown.returncode != 0
    assert "certificate verify failed" in unknown.stderr
    assert wrong.returncode != 0


def _ping(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "celery", "-A", "tork_celery", "inspect", "ping"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
