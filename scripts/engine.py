"""A container engine that answers: the one that runs, else Debian's, installed and started.

python -m scripts.engine    makes sure of it, and leaves it running
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

from scripts import apt, leftovers
from scripts.apt import Unavailable

DEFAULT = "unix:///var/run/docker.sock"
LOG = Path("/var/log/tork-celery-dockerd.log")
SYSTEMD = Path("/run/systemd/system")
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where dockerd and iptables are, which is not in everyone's PATH."""


@contextmanager
def running() -> Iterator[str]:
    """The address of an engine that answers while the context lasts. One that it had to start is stopped at
    the end, by its pid; one that was there is left alone. Raises Unavailable with what to do."""
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
    """Start an engine at the address and wait until it answers; returns what stops it again."""
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
    if _comes_up_by_itself(address):
        return lambda: None
    leftovers.remove()
    return _start_dockerd(address)


def require_startable(address: str) -> None:
    """Raises Unavailable unless a dockerd started here, by this user, would answer at the address."""
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
    """Where the engine is: DOCKER_HOST, else the docker command's current context, else the usual socket."""
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
    scheme, _, path = address.partition("://")
    if scheme == "unix" and not leftovers.is_heard(Path(path)):
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


def _start_dockerd(address: str) -> Callable[[], None]:
    """In a session of its own, so that no Ctrl-C reaches it before the containers' owner has ended."""
    print(f"starting a container engine; its log is {LOG}", flush=True)
    with LOG.open("wb") as log:
        engine = subprocess.Popen(
            ["dockerd"],
            env=os.environ | {"PATH": _path()},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until(lambda: answers(address), alive=lambda: engine.poll() is None)
    except BaseException:
        _stop(engine)
        raise
    return lambda: _stop(engine)


def _comes_up_by_itself(address: str) -> bool:
    """Whether an engine that is there, on its way up or started by its package, answers in time. One that
    ends meanwhile was on its way down."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while leftovers.ENGINE.running() is not None and time.monotonic() < deadline:
        if answers(address):
            return True
        time.sleep(0.2)
    return False


def _wait_until(ready: Callable[[], bool], *, alive: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not ready():
        if not alive() or time.monotonic() > deadline:
            raise Unavailable(f"The container engine did not start. The end of {LOG}:\n{_end_of_log()}")
        time.sleep(0.2)


def _stop(engine: subprocess.Popen[bytes]) -> None:
    engine.terminate()
    try:
        engine.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        engine.kill()
        engine.wait()


def _end_of_log() -> str:
    try:
        return "\n".join(LOG.read_text(errors="replace").splitlines()[-20:])
    except OSError:
        return "(there is none)"


def _path() -> str:
    return f"{os.environ.get('PATH', os.defpath)}:{SBIN}"


def main() -> None:
    try:
        address = configured_address()
        if not answers(address):
            start(address)
    except Unavailable as missing:
        sys.exit(str(missing))
    print(f"a container engine answers at {address}; this leaves it running")


if __name__ == "__main__":
    main()
