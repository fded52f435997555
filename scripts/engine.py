"""A container engine that answers: the running one, or else Debian's, which is installed and started.

    python -m scripts.engine

starts an engine if none answers, and leaves it running.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
from docker.context import ContextAPI
from docker.errors import DockerException
from requests.exceptions import RequestException

from scripts import apt, stale_files
from scripts.apt import Unavailable

DEFAULT = "unix:///var/run/docker.sock"
LOG = Path("/var/log/tork-celery-dockerd.log")
SYSTEMD = Path("/run/systemd/system")
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
"""Directories of dockerd and iptables, which PATH may lack."""


@contextmanager
def running() -> Iterator[str]:
    """Run a block while an engine answers, and yield the engine's address.

    An engine that was started for the block is stopped after it. Raises Unavailable with what to do.
    """
    address = configured_address()
    if answers(address):
        yield address
        return
    stop = start(address)
    try:
        yield address
    finally:
        stop()


def start(address: str) -> Callable[[], None]:
    """Start an engine, wait until it answers, and return a function that stops it. Raises Unavailable."""
    require_startable(address)
    if shutil.which("dockerd", path=_path()) is None:
        if not apt.may_install():
            raise Unavailable(
                "No container engine answers and none is installed. On Debian or Ubuntu: "
                "apt-get install docker.io; elsewhere install Docker and start it."
            )
        apt.install("docker.io")
    if SYSTEMD.is_dir():
        return _start_service()
    if _answers_after_start_elsewhere(address):
        return lambda: None
    stale_files.remove_stale_files()
    return _start_dockerd(address)


def require_startable(address: str) -> None:
    """Raise Unavailable unless this user can start a dockerd that answers at the address."""
    if address != DEFAULT:
        raise Unavailable(
            f"The container engine at {address} does not answer: start it, or unset DOCKER_HOST."
        )
    if os.geteuid() == 0:
        return
    if Path(DEFAULT.removeprefix("unix://")).exists():
        raise Unavailable(
            f"The container engine at {DEFAULT} does not answer to this user: start it "
            "(sudo systemctl start docker), or join its group (sudo usermod -aG docker $USER)."
        )
    raise Unavailable(
        "No container engine answers: install Docker (Debian's package is docker.io) and start it."
    )


def configured_address() -> str:
    """Return DOCKER_HOST, or else the address of Docker's current context, or else the default socket."""
    if host := os.environ.get("DOCKER_HOST"):
        return host
    try:
        context = ContextAPI.get_current_context()
    except (DockerException, OSError, ValueError):
        context = None
    if context is None or context.Name == "default":
        return DEFAULT
    return str(context.Host)


def answers(address: str) -> bool:
    """Return whether an engine answers at the address."""
    scheme, _, path = address.partition("://")
    if scheme == "unix" and not stale_files.has_listener(Path(path)):
        return False
    environment = os.environ | {"DOCKER_HOST": address}
    try:
        client = docker.from_env(timeout=10, environment=environment)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except (DockerException, RequestException):
        return False


def _start_service() -> Callable[[], None]:
    print("starting the service docker", flush=True)
    if subprocess.run(["systemctl", "start", "docker"], check=False).returncode != 0:
        raise Unavailable("The service docker did not start: see systemctl status docker.")
    return _stop_service


def _stop_service() -> None:
    subprocess.run(["systemctl", "stop", "docker.socket", "docker.service"], check=False)


def _answers_after_start_elsewhere(address: str) -> bool:
    """Wait for a dockerd that is already running, and return whether it answers.

    The installation of the package may have started it. One that is stopping ends, and False is returned.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while stale_files.ENGINE.running_pid() is not None and time.monotonic() < deadline:
        if answers(address):
            return True
        time.sleep(0.2)
    return False


def _start_dockerd(address: str) -> Callable[[], None]:
    print(f"starting a container engine; its log is {LOG}", flush=True)
    with LOG.open("wb") as log:
        process = subprocess.Popen(
            ["dockerd"],
            env=os.environ | {"PATH": _path()},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C must not stop it before the process that uses its containers
        )
    try:
        wait_until(lambda: answers(address), is_alive=lambda: process.poll() is None)
    except BaseException:
        _stop(process)
        raise
    return lambda: _stop(process)


def wait_until(is_ready: Callable[[], bool], *, is_alive: Callable[[], bool]) -> None:
    """Wait for an engine. Raises Unavailable with the end of its log if it ends or is too slow."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not is_ready():
        if not is_alive() or time.monotonic() > deadline:
            raise Unavailable(f"The container engine did not start. The end of {LOG}:\n{_end_of_log()}")
        time.sleep(0.2)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _end_of_log() -> str:
    try:
        return "\n".join(LOG.read_text(errors="replace").splitlines()[-20:])
    except OSError:
        return "(the log does not exist)"


def _path() -> str:
    return f"{os.environ.get('PATH', os.defpath)}:{SBIN}"


def main() -> None:
    try:
        address = configured_address()
        if not answers(address):
            start(address)
    except Unavailable as error:
        sys.exit(str(error))
    print(f"a container engine answers at {address} and is left running")


if __name__ == "__main__":
    main()
