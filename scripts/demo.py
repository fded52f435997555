"""The demo: start standalone mode, run examples/hello.yaml, print the result and stop.

All files are in a temporary directory. The last line on standard output is the result.
"""

import os
import signal
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
from scripts.server_process import free_port

TORK = str(Path(sys.executable).with_name("tork-celery"))
JOB = "examples/hello.yaml"
IMAGE = "ubuntu:mantic"
"""The image of the job."""
READY_TIMEOUT_S = 30.0
RUN_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 30.0
_LINES_OF_OUTPUT = 40


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
    """Run standalone mode for a block and yield its URL.

    Raises Unavailable with the end of the output if it does not get ready.
    """
    with tempfile.TemporaryDirectory(prefix="tork-demo-") as directory:
        output = Path(directory) / "output"
        port = free_port()
        process = _start(port, data=Path(directory) / "data", output=output)
        url = f"http://127.0.0.1:{port}"
        try:
            print(f"starting the system at {url}", flush=True)
            _wait_until_healthy(process, url=url)
            yield url
        except Unavailable as error:
            last_lines = output.read_text(errors="replace").splitlines()[-_LINES_OF_OUTPUT:]
            raise Unavailable("\n".join([*last_lines, f"{error} Above is the end of its output."])) from None
        finally:
            _stop(process)


def _start(port: int, *, data: Path, output: Path) -> subprocess.Popen[bytes]:
    with output.open("wb") as file:
        return subprocess.Popen(
            [TORK, "standalone", "--port", str(port), "--data-dir", str(data)],
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # _stop passes Ctrl-C on; a second SIGINT would force the stop
        )


def run_job(url: str) -> int:
    """Run the job, which prints its progress and result, and return the exit code of the command."""
    print(f"running {JOB}", flush=True)
    environment = clean_environment(TORK_URL=url)
    try:
        return subprocess.run(
            [TORK, "run", JOB], env=environment, timeout=RUN_TIMEOUT_S, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        raise Unavailable(f"The job did not end within {RUN_TIMEOUT_S:.0f} s.") from None


def clean_environment(**settings: str) -> dict[str, str]:
    """Return the environment with `settings` in place of all other settings of tork_celery."""
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
    """Stop as Ctrl-C does, which stops running containers too."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
