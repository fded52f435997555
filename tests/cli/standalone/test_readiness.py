"""A standalone system is ready when live nodes of this host serve its queues and the API is healthy."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.cli.stub_api import StubApi
from tests.serving import serving
from tests.store.stores import FlakyDatabase, database
from tork_celery.cli.standalone.readiness import ReadinessCheck, is_alive
from tork_celery.domain.node import Node
from tork_celery.store import nodes

__all__ = ["database"]


@pytest.fixture
def stub() -> Iterator[StubApi]:
    with serving(StubApi()) as server:
        server.responses = {"GET /health": [(200, {"status": "UP"})]}
        yield server


def register(database: FlakyDatabase, queue: str, *, pid: int, hostname: str | None = None) -> None:
    node = Node(
        name=f"{queue}@here",
        instance=queue,
        hostname=hostname or socket.gethostname(),
        pid=pid,
        queues=(queue,),
        version="0",
    )
    with database.transaction() as tx:
        nodes.register(tx, node)


def make_check(database: FlakyDatabase, api_url: str) -> ReadinessCheck:
    return ReadinessCheck(database, queues=["default", "control"], api_url=api_url, lease_s=10.0)


def ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_system_is_ready_when_each_queue_is_served(database: FlakyDatabase, stub: StubApi) -> None:
    check = make_check(database, stub.url)
    register(database, "default", pid=os.getpid())
    assert not check.is_ready()

    register(database, "control", pid=os.getpid())

    assert check.is_ready()


def test_node_of_a_dead_process_does_not_count(database: FlakyDatabase, stub: StubApi) -> None:
    register(database, "default", pid=os.getpid())
    register(database, "control", pid=ended_process())

    assert not make_check(database, stub.url).is_ready()


def test_node_of_another_host_does_not_count(database: FlakyDatabase, stub: StubApi) -> None:
    register(database, "default", pid=os.getpid())
    register(database, "control", pid=os.getpid(), hostname="elsewhere")

    assert not make_check(database, stub.url).is_ready()


def test_system_with_an_unhealthy_api_is_not_ready(database: FlakyDatabase, stub: StubApi) -> None:
    register(database, "default", pid=os.getpid())
    register(database, "control", pid=os.getpid())
    stub.responses = {"GET /health": [(503, {"status": "DOWN"}), (200, {"status": "UP"})]}
    check = make_check(database, stub.url)

    assert [check.is_ready(), check.is_ready()] == [False, True]
    assert not make_check(database, "http://127.0.0.1:1").is_ready()


def test_process_of_another_user_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(_pid: int, _number: int) -> None:
        raise PermissionError

    monkeypatch.setattr("os.kill", kill)

    assert is_alive(1)


def test_ended_process_is_not_alive() -> None:
    assert is_alive(os.getpid())
    assert not is_alive(ended_process())
