"""A separate container engine, which a test may stop without disturbing other tests."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import docker

from scripts import engine as shared_engine
from scripts.server_process import Server

BRIDGE = "tork-test0"
ADDRESS = "10.213.197.1"


def can_run() -> bool:
    """Return whether this is root, and the programs of Docker and `ip` are installed."""
    return os.geteuid() == 0 and all(map(shutil.which, ("dockerd", "containerd", "ip")))


@contextlib.contextmanager
def private_engine() -> Iterator[Server]:
    """Run an engine that shares nothing with the other one: data, containerd, socket and bridge are new."""
    with _bridge(), tempfile.TemporaryDirectory(prefix="tork-engine-") as name:
        directory = Path(name)
        (directory / "daemon.json").write_text("{}")  # not the configuration of the shared engine
        url = f"unix://{directory}/docker.sock"
        server = Server(
            url=url,
            command=_command(directory, url),
            directory=directory,
            is_ready=lambda: shared_engine.answers(url),
        )
        with server.running():
            yield server


def _command(directory: Path, url: str) -> list[str]:
    options = {
        "host": url,
        "data-root": str(directory / "data"),
        "exec-root": str(directory / "run"),
        "pidfile": str(directory / "docker.pid"),
        "config-file": str(directory / "daemon.json"),
        "bridge": BRIDGE,  # an engine without a bridge removes docker0, which the shared engine uses
        "iptables": "false",
        "ip6tables": "false",
        "ip-forward": "false",
        "ip-masq": "false",
        "userland-proxy": "false",
        "shutdown-timeout": "5",
    }
    return ["dockerd", *(f"--{name}={value}" for name, value in options.items())]


@contextlib.contextmanager
def _bridge() -> Iterator[None]:
    subprocess.run(["ip", "link", "add", BRIDGE, "type", "bridge"], check=True)
    try:
        subprocess.run(["ip", "address", "add", f"{ADDRESS}/24", "dev", BRIDGE], check=True)
        subprocess.run(["ip", "link", "set", BRIDGE, "up"], check=True)
        yield
    finally:
        subprocess.run(["ip", "link", "delete", BRIDGE], check=True)


def copy_image(name: str, *, source: docker.DockerClient, target: docker.DockerClient) -> None:
    target.images.load(b"".join(source.images.get(name).save(named=name)))
