"""A whole installation in separate processes, started as a user starts it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.eventually import eventually
from tork_celery.bootstrap.datastore import build_database
from tork_celery.bootstrap.runtime import build_runtime
from tork_celery.settings import Settings
from tork_celery.store import nodes

LONG_LEASE = {"TORK_LEASE": "60s"}
"""For tests that restart a worker: on a busy machine the start may take longer than the default lease."""
ENDED = {"COMPLETED", "FAILED", "CANCELLED"}
_START_WITHIN_S = 60
_BIN = Path(sys.executable).parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Installation:
    """`tork-celery standalone` with a new port, workers beside it, and a client of its API."""

    def __init__(
        self,
        data_dir: Path,
        *options: str,
        environment: Mapping[str, str] | None = None,
        command_dir: Path = _BIN,
        cwd: Path | None = None,
        user: Mapping[str, Any] | None = None,
    ) -> None:
        """`user` has the keywords of Popen by which the command runs as another user."""
        self.data_dir = data_dir
        self.command_dir = command_dir
        self._cwd = cwd
        self._user = user or {}
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {**os.environ, "TORK_DATA_DIR": str(data_dir), **(environment or {})}
        self._options = options
        self._log_file = data_dir.parent / "standalone.log"
        self._workers: list[subprocess.Popen[bytes]] = []
        self.process: subprocess.Popen[bytes] | None = None
        self._was_killed = False

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self.launch()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        eventually(self._is_ready, within_s=_START_WITHIN_S, explain=self.process_log)

    def launch(self) -> None:
        """Start it without waiting for anything."""
        command = [
            str(self.command_dir / "tork-celery"),
            "standalone",
            "--port",
            str(self.port),
            *self._options,
        ]
        with self._log_file.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self._cwd,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **self._user,
            )

    def start_worker(self, queue: str, slots: int, *options: str, name: str) -> subprocess.Popen[bytes]:
        """Start another worker with the node name `name`; the options are Celery's."""
        celery = [
            str(self.command_dir / "celery"),
            "-A",
            "tork_celery",
            "worker",
            "-Q",
            queue,
            "-c",
            str(slots),
        ]
        with self._log_file.open("ab") as log:
            process = subprocess.Popen(
                [*celery, "-n", name, *options],
                env={**self.environment, "TORK_BROKER_URL": self.broker_url},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._workers.append(process)
        return process

    @property
    def broker_url(self) -> str:
        return self.environment.get("TORK_BROKER_URL") or (
            f"redis+socket://{self.data_dir}/broker.sock?virtual_host=0"
        )

    def process_log(self) -> str:
        """Return the last 8,000 characters that its processes have printed."""
        return self._log_file.read_text(errors="replace")[-8000:]

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self._was_killed = True

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send it a signal and wait for its end; return the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=30)

    def stop_workers(self) -> None:
        """Stop the workers that `start_worker` has started."""
        for process in self._workers:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in self._workers:
            self._was_killed |= process.wait(timeout=30) == -signal.SIGKILL
        self._workers.clear()

    def close(self) -> None:
        self.stop_workers()
        if self.process is not None and self.process.poll() is None:
            self.stop()
        if self._was_killed:
            self._remove_sandboxes()

    def _remove_sandboxes(self) -> None:
        """Remove the sandboxes of workers that were killed, as other workers of the host do after a while."""
        settings = Settings.load(self.environment)
        with contextlib.closing(build_database(settings)) as database, database.transaction() as tx:
            cluster = nodes.cluster_id(tx)
        with contextlib.closing(build_runtime(settings, cluster=cluster, node="none", slots=0)) as runtime:
            runtime.collect_garbage(alive=set)

    # ------------------------------------------------------------ the API

    def post(self, route: str, document: Mapping[str, Any]) -> dict[str, Any]:
        body = yaml.safe_dump(dict(document)).encode()
        response = requests.post(
            self.url + route, data=body, headers={"Content-Type": "text/yaml"}, timeout=10
        )
        assert response.ok, response.text
        return dict(response.json())

    def get(self, route: str) -> Any:
        response = requests.get(self.url + route, timeout=10)
        assert response.ok, response.text
        return response.json()

    def wait_for_task(self, task_id: str, *, within_s: float = 60) -> dict[str, Any]:
        """Wait for the end of a task and return it."""
        return self._wait_until_ended(f"/task/{task_id}", within_s)

    def wait_for_job(self, job_id: str, *, within_s: float = 60) -> dict[str, Any]:
        """Wait for the end of a job and return it."""
        return self._wait_until_ended(f"/jobs/{job_id}", within_s)

    def run_task(self, document: Mapping[str, Any], *, within_s: float = 60) -> dict[str, Any]:
        """Submit a task, wait for its end and return it."""
        return self.wait_for_task(self.post("/task", document)["id"], within_s=within_s)

    def read_log(self, route: str) -> str:
        """Return the whole log of the task or job at `route`, oldest part first."""
        return "".join(part["contents"] for part in self.log_parts(route))

    def read_output(self, route: str) -> str:
        """Return the log without the lines of the system."""
        return "".join(part["contents"] for part in self.log_parts(route) if part["source"] == "container")

    def log_parts(self, route: str) -> list[dict[str, Any]]:
        """Return the parts of the log, oldest first."""
        first = self.get(f"{route}/log?size=100")
        pages = [
            first,
            *(self.get(f"{route}/log?size=100&page={n}") for n in range(2, first["totalPages"] + 1)),
        ]
        return [part for page in pages for part in page["items"]][::-1]

    def _wait_until_ended(self, route: str, within_s: float) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            shown: dict[str, Any] = self.get(route)
            return shown if shown["state"] in ENDED else None

        return eventually(
            ended, within_s=within_s, explain=lambda: f"{self.get(route)}\n{self.process_log()}"
        )

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.process_log()
        if b"ready: listening" not in self._log_file.read_bytes():
            return False
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(self.url + "/health", timeout=5).ok
        return False


@contextlib.contextmanager
def running_installation(
    data_dir: Path, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[Installation]:
    """Run an installation while the context lasts; `options` are those of `tork-celery standalone`."""
    installation = Installation(data_dir, *options, environment=environment)
    try:
        installation.start()
        yield installation
    finally:
        installation.close()


def two_slot_installation(
    directories: pytest.TempPathFactory,
) -> contextlib.AbstractContextManager[Installation]:
    """Run an installation with a new data directory and two slots."""
    return running_installation(directories.mktemp("tork") / "data", "--queue", "default:2")
