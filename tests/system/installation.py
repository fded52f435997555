"""A whole installation in processes of its own, as a user would start it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.eventually import eventually

LONG_LEASE = {"TORK_LEASE": "60s"}
"""For what a worker is to find when it is back: on a busy machine its start may outlast the usual lease."""
ENDED = {"COMPLETED", "FAILED", "CANCELLED"}
_START_WITHIN_S = 60
_BIN = Path(sys.executable).parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Installation:
    """`tork-celery standalone` with a data directory of its own; started and killed at will."""

    def __init__(self, data_dir: Path, *options: str, environment: Mapping[str, str] | None = None) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {**os.environ, "TORK_DATA_DIR": str(data_dir), **(environment or {})}
        self._options = options
        self._log = data_dir.parent / "standalone.log"
        self._others: list[subprocess.Popen[bytes]] = []
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it says that it is ready."""
        command = [str(_BIN / "tork-celery"), "standalone", "--port", str(self.port), *self._options]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        eventually(self._healthy, within_s=_START_WITHIN_S, explain=self.log)

    def worker(self, queue: str, slots: int, *options: str, name: str) -> subprocess.Popen[bytes]:
        """Another worker beside it, of the node name `name`; the options are Celery's."""
        celery = [str(_BIN / "celery"), "-A", "tork_celery", "worker", "-Q", queue, "-c", str(slots)]
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [*celery, "-n", name, *options],
                env={**self.environment, "TORK_BROKER_URL": self.broker_url},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._others.append(process)
        return process

    @property
    def broker_url(self) -> str:
        return self.environment.get("TORK_BROKER_URL") or (
            f"redis+socket://{self.data_dir}/broker.sock?virtual_host=0"
        )

    def log(self) -> str:
        return self._log.read_text(errors="replace")[-8000:]

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ask it to end; its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=30)

    def dismiss_workers(self) -> None:
        """End those that were started beside it."""
        for process in self._others:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in self._others:
            process.wait(timeout=30)
        self._others.clear()

    def close(self) -> None:
        self.dismiss_workers()
        if self.process is not None and self.process.poll() is None:
            self.stop()

    # ------------------------------------------------------------ the API

    def post(self, route: str, document: Mapping[str, Any]) -> dict[str, Any]:
        body = yaml.safe_dump(dict(document)).encode()
        answer = requests.post(self.url + route, data=body, headers={"Content-Type": "text/yaml"}, timeout=10)
        assert answer.ok, answer.text
        return dict(answer.json())

    def get(self, route: str) -> Any:
        answer = requests.get(self.url + route, timeout=10)
        assert answer.ok, answer.text
        return answer.json()

    def ended_task(self, task_id: str, *, within_s: float = 60) -> dict[str, Any]:
        return self._until(lambda: self.get(f"/task/{task_id}"), within_s)

    def ended_job(self, job_id: str, *, within_s: float = 60) -> dict[str, Any]:
        return self._until(lambda: self.get(f"/jobs/{job_id}"), within_s)

    def run_task(self, document: Mapping[str, Any], *, within_s: float = 60) -> dict[str, Any]:
        """The task, ended."""
        return self.ended_task(self.post("/task", document)["id"], within_s=within_s)

    def log_of(self, route: str) -> str:
        """The whole log behind a route, oldest first."""
        first = self.get(f"{route}/log?size=100")
        pages = [
            first,
            *(self.get(f"{route}/log?size=100&page={n}") for n in range(2, first["totalPages"] + 1)),
        ]
        newest_first = [part["contents"] for page in pages for part in page["items"]]
        return "".join(reversed(newest_first))

    def _until(self, look: Callable[[], dict[str, Any]], within_s: float) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            found = look()
            return found if found["state"] in ENDED else None

        found = eventually(ended, within_s=within_s, explain=lambda: f"{look()}\n{self.log()}")
        assert found is not None
        return found

    def _healthy(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        if b"ready: listening" not in self._log.read_bytes():
            return False
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(self.url + "/health", timeout=5).ok
        return False


@contextlib.contextmanager
def installed(data_dir: Path, *options: str, **more: Any) -> Iterator[Installation]:
    """An installation that runs while the context lasts."""
    installation = Installation(data_dir, *options, **more)
    try:
        installation.start()
        yield installation
    finally:
        installation.close()


def two_slots(folders: pytest.TempPathFactory) -> contextlib.AbstractContextManager[Installation]:
    """An installation with a new data directory."""
    return installed(folders.mktemp("tork") / "data", "--queue", "default:2")
