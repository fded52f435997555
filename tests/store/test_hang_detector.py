"""A slow server is asked for a sign of life, and further calls wait for it."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest
from sqlalchemy import Engine, create_engine

from tests.eventually import eventually
from tests.runtime.steps import TIMEOUT_S, in_thread
from tork_celery.domain.errors import DatastoreUnavailable
from tork_celery.store import hang_detector
from tork_celery.store.hang_detector import HangDetector


class Server:
    """A server whose sign of life comes, or does not, when a test says so."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.answer = threading.Event()
        self.is_frozen = True

    def probe(self) -> None:
        self.asked.set()
        self.answer.wait(TIMEOUT_S)
        if self.is_frozen:
            raise ConnectionError


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.is_frozen = False
    server.answer.set()


@pytest.fixture
def sqlite_engine() -> Engine:
    return create_engine("sqlite://")


@pytest.fixture
def detector(server: Server, sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> HangDetector:
    monkeypatch.setattr(hang_detector, "SLOW_AFTER_S", 0.0)
    monkeypatch.setattr(hang_detector, "_INTERVAL_S", 0.001)
    return HangDetector(sqlite_engine, server.probe)


def call(detector: HangDetector, block: Callable[[], object] = lambda: None) -> bool:
    """Return whether a call of the server was allowed."""
    try:
        with detector.call():
            block()
    except DatastoreUnavailable:
        return False
    return True


@pytest.fixture
def slow_call(detector: HangDetector, server: Server) -> Iterator[Future[bool]]:
    """A call that lasts until the server is asked for a sign of life and the test has ended."""
    over = threading.Event()
    running = in_thread(lambda: call(detector, lambda: over.wait(TIMEOUT_S)))
    assert server.asked.wait(TIMEOUT_S)
    yield running
    over.set()
    assert running.result(TIMEOUT_S)


@pytest.mark.usefixtures("slow_call")
@pytest.mark.parametrize("is_frozen", [True, False])
def test_call_waits_while_the_server_is_asked_for_a_sign_of_life(
    detector: HangDetector, server: Server, *, is_frozen: bool
) -> None:
    server.is_frozen = is_frozen
    entered = threading.Event()
    second = in_thread(lambda: call(detector, entered.set))
    assert not second.done()

    server.answer.set()

    assert second.result(TIMEOUT_S) is not is_frozen
    assert entered.is_set() is not is_frozen


@pytest.mark.usefixtures("slow_call")
def test_calls_fail_at_once_while_the_server_hangs_and_pass_afterwards(
    detector: HangDetector, server: Server
) -> None:
    server.answer.set()
    eventually(lambda: not call(detector))
    server.answer.clear()  # the next question has no answer yet

    assert not call(detector)

    server.is_frozen = False
    server.answer.set()
    eventually(lambda: call(detector))


def test_call_whose_connection_was_aborted_makes_no_new_one(
    detector: HangDetector, server: Server, sqlite_engine: Engine
) -> None:
    def connect_when_the_server_hangs() -> None:
        server.answer.set()
        eventually(lambda: not call(detector))
        with pytest.raises(DatastoreUnavailable):
            sqlite_engine.connect()

    assert call(detector, connect_when_the_server_hangs)
