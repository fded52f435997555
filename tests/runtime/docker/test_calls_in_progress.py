import socket
from collections.abc import Callable, Iterator

import pytest

from tests.eventually import eventually
from tests.runtime.steps import TIMEOUT_S, in_thread
from tork_celery.runtime.docker import calls_in_progress
from tork_celery.runtime.docker.calls_in_progress import CallsInProgress


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client, and an engine that answers nothing."""
    client, engine = socket.socketpair()
    with client, engine:
        yield client, engine


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_in_progress, "GRACE_S", 0.01)


def test_interrupter_ends_a_call_that_is_not_answered(sockets: tuple[socket.socket, socket.socket]) -> None:
    calls, interrupters = CallsInProgress(), list[Callable[[], None]]()

    def call() -> bytes:
        interrupters.append(calls.interrupter())
        with calls.waiting(sockets[0]):
            return sockets[0].recv(1)

    future = in_thread(call)
    eventually(lambda: calls._calls)

    interrupters[0]()

    assert future.result(TIMEOUT_S) == b""


def test_interrupter_leaves_a_later_call_on_the_same_connection_alone(
    sockets: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls_in_progress, "GRACE_S", 0.1)
    calls = CallsInProgress()
    client, engine = sockets
    client.settimeout(0.3)
    with calls.waiting(client):
        calls.interrupter()()

    with calls.waiting(client), pytest.raises(TimeoutError):
        client.recv(1)
    engine.send(b"x")
    assert client.recv(1) == b"x"


def test_interrupter_without_a_call_does_nothing() -> None:
    CallsInProgress().interrupter()()


def test_end_all_ends_present_and_later_calls(sockets: tuple[socket.socket, socket.socket]) -> None:
    calls, client = CallsInProgress(), sockets[0]
    with calls.waiting(client):
        calls.end_all()
        assert client.recv(1) == b""

    again, engine = socket.socketpair()
    with again, engine, calls.waiting(again):
        assert again.recv(1) == b""
