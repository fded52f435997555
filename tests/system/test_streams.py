"""Streams of a whole installation, while its processes are killed and start again."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest

from tests.api.front.streaming import StreamClient, open_stream
from tests.eventually import eventually
from tests.system.installation import LONG_LEASE, Installation, running_installation

LINES = 100
CLIENTS = 3
IDLE_STREAMS = 200
SCRIPT = f"for i in $(seq {LINES}); do echo line $i; sleep 0.1; done"
TASK = {"name": "t", "image": "busybox:stable", "run": SCRIPT}


@pytest.fixture(params=["sqlite", "postgresql"])
def installation(
    request: pytest.FixtureRequest, engine: docker.DockerClient, tmp_path: Path
) -> Iterator[Installation]:
    del engine  # only started
    environment = dict(LONG_LEASE)
    if request.param == "postgresql":
        environment["TORK_DATASTORE_URL"] = request.getfixturevalue("postgresql_url")
    with running_installation(
        tmp_path / "data", "--queue", "default:1", environment=environment
    ) as installation:
        yield installation


@dataclass
class Follower:
    """A client that follows a log and reconnects when the connection is lost, as a browser does."""

    port: int
    topic: str
    parts: list[dict[str, Any]] = field(default_factory=list)
    resets: int = 0
    ended: bool = False
    last_id: str | None = None

    def follow(self) -> None:
        while not self.ended:
            eventually(self._followed)

    @property
    def output(self) -> str:
        return "".join(part["contents"] for part in self.parts if part["source"] == "container")

    def _followed(self) -> bool:
        """Follow one connection. Return whether there was one."""
        try:
            with closing(open_stream(self.port, self.topic, last_id=self.last_id)) as stream:
                self._read(stream)
        except (http.client.HTTPException, OSError):
            return False
        return True

    def _read(self, stream: StreamClient) -> None:
        while (event := stream.next()) is not None:
            self.last_id = event.id
            self.resets += event.name == "reset"
            self.ended = event.name == "end"
            if event.name == "log":
                self.parts.append(event.data)


def kill_child(installation: Installation, *words: str) -> None:
    """Kill the process of the installation with these words in its command. The supervisor starts another."""
    assert installation.process is not None
    for child in psutil.Process(installation.process.pid).children():
        if set(words) <= set(child.cmdline()):
            child.kill()
            return
    raise AssertionError(f"no process with {words}")


def test_followers_see_each_line_once_while_processes_are_killed(installation: Installation) -> None:
    task_id = installation.post("/task", TASK)["id"]
    followers = [Follower(installation.port, f"log:{task_id}") for _ in range(CLIENTS)]
    threads = [threading.Thread(target=each.follow, daemon=True) for each in followers]
    with ExitStack() as idle:
        for _ in range(IDLE_STREAMS):
            idle.enter_context(closing(open_stream(installation.port, "jobs")))
        for thread in threads:
            thread.start()
        eventually(lambda: all("line 10\n" in each.output for each in followers))
        assert installation.get("/health") == {"status": "UP"}
        assert installation.get(f"/task/{task_id}")["state"] == "RUNNING"

        kill_child(installation, "default")
        eventually(lambda: all("line 30\n" in each.output for each in followers))
        kill_child(installation, "api")

        for thread in threads:
            thread.join(120)

    expected = "".join(f"line {number}\n" for number in range(1, LINES + 1))
    assert [each.output for each in followers] == [expected] * CLIENTS
    assert [each.resets for each in followers] == [0] * CLIENTS
