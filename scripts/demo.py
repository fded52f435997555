"""The demo: starts standalone mode, runs examples/hello.yaml with it, prints the result, stops it again.

Everything that it makes is in a temporary folder. The last line on standard output is the result.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import requests
from docker.errors import DockerException

from scripts.apt import Unavailable
from scripts.images import stand_ins

TORK = str(Path(sys.executable).with_name("tork-celery"))
JOB = "examples/hello.yaml"
IMAGE = "ubuntu:mantic"
"""The image that the job names."""
READY_TIMEOUT_S = 30.0
RUN_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 30.0


def main() -> None:
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        with stand_ins(docker.from_env(), [IMAGE]), standalone() as url:
            code = run_job(url)
    except (Unavailable, DockerException, requests.RequestException) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    sys.exit(code)


@contextmanager
def standalone() -> Iterator[str]:
    """The address of a system in standalone mode, which is stopped and gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="tork-demo-") as folder:
        port, output = _free_port(), Path(folder) / "output"
        command = [TORK, "standalone", "--port", str(port), "--data-dir", f"{folder}/data"]
        with output.open("wb") as file:
            process = subprocess.Popen(
                command,
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is passed on once, by _stop: a second one would force it
            )
        url = f"http://127.0.0.1:{port}"
        try:
            print(f"starting the system at {url}", flush=True)
            _wait_until_healthy(process, url=url)
            yield url
        except Unavailable as error:
            said = output.read_text(errors="replace").splitlines()[-40:]
            raise Unavailable(
                "\n".join([*said, f"{error} Above is the end of what the system said."])
            ) from None
        finally:
            _stop(process)


def run_job(url: str) -> int:
    """The exit code of the command, which prints the job's progress and its result."""
    print(f"running {JOB}", flush=True)
    environment = clean_environment(TORK_URL=url)
    try:
        return subprocess.run(
            [TORK, "run", JOB], env=environment, timeout=RUN_TIMEOUT_S, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        raise Unavailable(f"The job did not end within {RUN_TIMEOUT_S:.0f} s.") from None


def clean_environment(**settings: str) -> dict[str, str]:
    """The environment without the settings of another system that it may have."""
    return {key: value for key, value in os.environ.items() if not key.startswith("TORK_")} | settings


def _wait_until_healthy(process: subprocess.Popen[bytes], *, url: str) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not _is_healthy(url):
        if process.poll() is not None or time.monotonic() > deadline:
            raise Unavailable("The system did not get ready.")
        time.sleep(0.1)


def _is_healthy(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=5).ok
    except requests.RequestException:
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """As Ctrl-C does, which stops the running containers too."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
