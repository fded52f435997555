"""A container engine of the test's own, which may be stopped: others use the first one."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import docker

from scripts import engine as first_engine
from scripts.server_process import Server

BRIDGE = "tork-test0"
ADDRESS = "10.213.197.1"


def may_run() -> bool:
    """As root, where Docker's own programs and those that make its bridge are installed."""
    return os.geteuid() == 0 and all(map(shutil.which, ("dockerd", "containerd", "ip")))


@contextlib.contextmanager
def private_engine() -> Iterator[Server]:
    """It shares nothing with the first engine: it has its own data, containerd, socket and bridge."""
    with _bridge(), tempfile.TemporaryDirectory(prefix="tork-engine-") as name:
        folder = Path(name)
        (folder / "daemon.json").write_text("{}")  # the first one's is not for this one
        url = f"unix://{folder}/docker.sock"
        server = Server(
            url=url,
            command=_command(folder, url),
            directory=folder,
            is_ready=lambda: first_engine.answers(url),
        )
        with server.running():
            yield server


def _command(folder: Path, url: str) -> list[str]:
    options = {
        "host": url,
        "data-root": str(folder / "data"),
        "exec-root": str(folder / "run"),
        "pidfile": str(folder / "docker.pid"),
        "config-file": str(folder / "daemon.json"),
        "bridge": BRIDGE,  # an engine without one removes docker0, which is the first engine's
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
