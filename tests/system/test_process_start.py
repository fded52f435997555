"""A process that starts while its servers are away waits for them, and says so once."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
import requests

from scripts.server_process import Server
from tests.eventually import eventually
from tests.system.installation import Installation, free_port
from tests.system.server_pairs import ServerPair, redis_and_postgresql
from tork_celery.runtime.docker.engine_connection import DEFAULT_URL
from tork_celery.store import Database
from tork_celery.store.migration import migrate

_STOP_TIMEOUT_S = 30  # a killed system would leave its sandbox
_BIN = Path(sys.executable).parent
CELERY_WORKER = [str(_BIN / "celery"), "-A", "tork_celery", "--quiet", "worker", "-c", "1"]
SHELL = {"TORK_RUNTIME": "shell", "TORK_SHELL_ALLOW_ROOT": "true"}


@pytest.fixture(scope="module")
def servers() -> Iterator[ServerPair]:
    """Redis and a migrated PostgreSQL, which tests stop and start."""
    with redis_and_postgresql() as pair:
        with closing(Database.connect(pair.datastore.url)) as database:
            migrate(database)
        yield pair


@contextmanager
def away(*servers: Server) -> Iterator[None]:
    for server in servers:
        server.stop()
    try:
        yield
    finally:
        for server in servers:
            if server.process is None or server.process.poll() is not None:
                server.start()


@dataclass
class Running:
    """A process of ours and its output."""

    process: subprocess.Popen[bytes]
    output: Path

    @property
    def log(self) -> str:
        assert self.process.poll() is None, self.output.read_text()
        return self.output.read_text()

    def outages(self, event: str) -> list[str]:
        """Return the parts of the outages that were logged as an event, in order."""
        return re.findall(rf"event={event} part=(\w+)", self.log)

    def wait_for(self, event: str, *parts: str) -> None:
        eventually(lambda: self.outages(event) == [*parts], explain=lambda: self.log)


@contextmanager
def running(command: list[str], environment: Mapping[str, str], directory: Path) -> Iterator[Running]:
    output = directory / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )
    try:
        yield Running(process, output)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        finally:
            process.kill()
            process.wait()


def environment_of(servers: ServerPair, directory: Path) -> dict[str, str]:
    return {**servers.environment, **SHELL, "TORK_DATA_DIR": str(directory / "data")}


def answers(url: str) -> bool:
    with suppress(requests.ConnectionError):
        return requests.get(url, timeout=5).ok
    return False


@pytest.mark.postgresql
@pytest.mark.parametrize("queue", ["default", "control"])
def test_celery_worker_waits_for_datastore_and_broker(
    servers: ServerPair, tmp_path: Path, queue: str
) -> None:
    environment = environment_of(servers, tmp_path)
    with (
        away(servers.datastore, servers.broker),
        running([*CELERY_WORKER, "-Q", queue], environment, tmp_path) as worker,
    ):
        worker.wait_for("outage.started", "datastore")
        servers.datastore.start()
        worker.wait_for("outage.ended", "datastore")
        worker.wait_for("outage.started", "datastore", "broker")
        servers.broker.start()
        worker.wait_for("outage.ended", "datastore", "broker")
        eventually(lambda: " ready." in worker.log)

        assert "Traceback" not in worker.log
        assert "Warning:" not in worker.log.partition("event=outage.started")[2]


@pytest.mark.postgresql
def test_api_waits_for_the_datastore_and_serves_without_the_broker(
    servers: ServerPair, tmp_path: Path
) -> None:
    port = free_port()
    api = [str(_BIN / "tork-celery"), "api", "--port", str(port)]
    with (
        away(servers.datastore, servers.broker),
        running(api, environment_of(servers, tmp_path), tmp_path) as process,
    ):
        process.wait_for("outage.started", "datastore")
        servers.datastore.start()
        process.wait_for("outage.started", "datastore", "broker")
        assert not answers(f"http://127.0.0.1:{port}/health")
        servers.broker.start()
        eventually(lambda: answers(f"http://127.0.0.1:{port}/health"))
        process.wait_for("outage.ended", "datastore", "broker")

        assert "Traceback" not in process.log


@pytest.mark.postgresql
def test_standalone_waits_for_datastore_and_broker(servers: ServerPair, tmp_path: Path) -> None:
    command = [str(_BIN / "tork-celery"), "standalone", "--port", str(free_port())]
    with (
        away(servers.datastore, servers.broker),
        running(command, environment_of(servers, tmp_path), tmp_path) as standalone,
    ):
        standalone.wait_for("outage.started", "datastore")
        servers.datastore.start()
        eventually(lambda: standalone.outages("outage.started").count("broker") == 3)
        servers.broker.start()
        eventually(lambda: "ready: listening" in standalone.log, explain=lambda: standalone.log)
        eventually(lambda: standalone.outages("outage.ended").count("broker") == 3)

        assert "Traceback" not in standalone.log
        assert "exited with code" not in standalone.log


def test_standalone_waits_for_the_engine(engine: docker.DockerClient, tmp_path: Path) -> None:
    del engine  # only started
    socket = tmp_path / "docker.sock"
    installation = Installation(
        tmp_path / "data", environment={"TORK_DOCKER_URL": f"unix://{socket}", "DOCKER_HOST": ""}
    )
    command = [str(_BIN / "tork-celery"), "standalone", "--port", str(installation.port)]
    with running(command, installation.environment, tmp_path) as standalone:
        standalone.wait_for("outage.started", "engine")
        eventually(lambda: answers(f"{installation.url}/health"))
        task_id = installation.post("/task", {"name": "t", "image": "busybox:stable", "run": "echo hello"})[
            "id"
        ]
        socket.symlink_to((os.environ.get("DOCKER_HOST") or DEFAULT_URL).removeprefix("unix://"))
        standalone.wait_for("outage.ended", "engine")
        assert installation.wait_for_task(task_id)["result"] == "hello\n"

        assert "Traceback" not in standalone.log


@pytest.mark.postgresql
@pytest.mark.parametrize("part", ["datastore", "broker"])
def test_outage_is_two_lines_of_each_process(servers: ServerPair, tmp_path: Path, part: str) -> None:
    command = [str(_BIN / "tork-celery"), "standalone", "--port", str(free_port())]
    with running(command, environment_of(servers, tmp_path), tmp_path) as standalone:
        eventually(lambda: "ready: listening" in standalone.log, explain=lambda: standalone.log)
        before = len(standalone.log)
        processes = 3 if part == "datastore" else 2  # the API asks the broker only when it has to
        with away(getattr(servers, part)):
            eventually(lambda: len(standalone.outages("outage.started")) >= processes)
        eventually(lambda: len(standalone.outages("outage.ended")) >= processes)
        lines = [line for line in standalone.log[before:].splitlines() if "event=outage." not in line]

        assert [line for line in lines if "level=info" not in line] == []
        assert set(standalone.outages("outage.started")) == {part}


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("setting", "change", "words"),
    [
        ("TORK_DATASTORE_URL", ("tork:", "tork:wrong"), "password authentication failed"),
        ("TORK_DATASTORE_URL", ("/postgres", "/missing"), "does not exist"),
        ("TORK_BROKER_URL", ("redis://:", "redis://:wrong"), "the broker refuses access"),
    ],
)
def test_refused_setting_ends_the_process_at_once(
    servers: ServerPair, tmp_path: Path, setting: str, change: tuple[str, str], words: str
) -> None:
    environment = environment_of(servers, tmp_path)
    environment[setting] = environment[setting].replace(*change)
    port = str(free_port())

    api = [str(_BIN / "tork-celery"), "api", "--port", port]
    for command, code in (([*CELERY_WORKER, "-Q", "default"], 1), (api, 2)):
        ended = subprocess.run(
            command,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == code
        assert words in ended.stderr
        assert setting in ended.stderr
        assert "Traceback" not in ended.stderr
