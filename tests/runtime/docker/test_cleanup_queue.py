import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import structlog

from tests.eventually import eventually
from tork_celery.domain.backoff import Backoff
from tork_celery.domain.errors import EngineFailed, EngineUnavailable
from tork_celery.runtime.docker import cleanup_queue
from tork_celery.runtime.docker.cleanup_queue import CleanupQueue

DELIVERY = ("task", 1)


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as logged:
        yield logged


class Engine:
    """Blocks every removal until `answer`."""

    def __init__(self) -> None:
        self.removed: list[int] = []
        self._answers = threading.Event()

    def remove(self, number: int) -> None:
        assert self._answers.wait(30)
        self.removed.append(number)

    def answer(self) -> None:
        self._answers.set()


def fill(queue: CleanupQueue, engine: Engine) -> int:
    """Submit until one removal is running and the backlog is full. Return the number of removals."""
    for number in range(cleanup_queue._BACKLOG + 1):
        queue.submit(DELIVERY, partial(engine.remove, number))
    return cleanup_queue._BACKLOG + 1


def dropped(logged: list[Any]) -> int:
    events = [entry for entry in logged if entry["event"] == "runtime.removal_dropped"]
    assert all((entry["task_id"], entry["delivery"]) == DELIVERY for entry in events)
    return len(events)


def test_removals_run_in_order_of_submission() -> None:
    queue, engine = CleanupQueue(threads=2), Engine()
    engine.answer()

    submitted = fill(queue, engine)
    queue.close()

    assert engine.removed == list(range(submitted))


def test_bug_in_one_removal_does_not_stop_the_next() -> None:
    queue, done = CleanupQueue(threads=1), threading.Event()

    def fail() -> None:
        raise RecursionError

    queue.submit(DELIVERY, fail)
    queue.submit(DELIVERY, done.set)
    queue.close()

    assert done.is_set()


def test_removal_after_close_is_dropped_with_a_warning(logged: list[Any]) -> None:
    queue = CleanupQueue(threads=1)
    queue.close()

    queue.submit(DELIVERY, lambda: pytest.fail("removed after close"))

    assert dropped(logged) == 1


def test_close_unblocks_a_submit_that_waits_for_a_full_backlog(logged: list[Any]) -> None:
    queue, engine = CleanupQueue(threads=1), Engine()
    submitted = fill(queue, engine)
    blocked = threading.Thread(target=queue.submit, args=[DELIVERY, lambda: engine.remove(-1)])
    blocked.start()
    closing = threading.Thread(target=queue.close)
    closing.start()

    blocked.join(30)
    assert not blocked.is_alive()
    engine.answer()
    closing.join(30)

    assert engine.removed == list(range(submitted))
    assert dropped(logged) == 1


def test_close_drops_the_backlog_of_an_engine_that_hangs_with_warnings(
    logged: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup_queue, "_CLOSE_TIMEOUT_S", 0.05)
    queue, engine = CleanupQueue(threads=1), Engine()
    submitted = fill(queue, engine)

    queue.close()

    assert dropped(logged) == submitted - 1
    engine.answer()
    eventually(lambda: engine.removed == [0])


def test_removal_is_dropped_with_a_warning_when_close_interrupts_submit(
    logged: list[Any],
) -> None:
    queue = CleanupQueue(threads=1)

    class ClosingDelivery(tuple[str, int]):
        """Close the queue while `submit` looks for the delivery's thread."""

        __slots__ = ()

        def __hash__(self) -> int:
            queue.close()
            return 0

    queue.submit(ClosingDelivery(DELIVERY), lambda: pytest.fail("removed after close"))

    assert dropped(logged) == 1


class AwayEngine:
    """Does not answer removals until `answer`, and records those that it carries out."""

    def __init__(self, error: EngineUnavailable) -> None:
        self.removed: list[int] = []
        self.tries = 0
        self._error: EngineUnavailable | None = error

    def remove(self, number: int) -> None:
        self.tries += 1
        if self._error is not None:
            raise self._error
        self.removed.append(number)

    def answer(self) -> None:
        self._error = None


@pytest.fixture
def short_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleanup_queue, "_BACKOFF", Backoff(first_s=0.001, longest_s=0.001))


@pytest.mark.usefixtures("short_backoff")
def test_removals_wait_in_order_for_an_engine_that_is_away(logged: list[Any]) -> None:
    queue, engine = CleanupQueue(threads=1), AwayEngine(EngineUnavailable("away"))
    queue.submit(DELIVERY, partial(engine.remove, 1))
    queue.submit(DELIVERY, partial(engine.remove, 2))
    eventually(lambda: engine.tries > 3)

    engine.answer()

    eventually(lambda: engine.removed == [1, 2])
    assert [entry["reason"] for entry in logged] == ["away"]
    queue.close()


@pytest.mark.usefixtures("short_backoff")
def test_full_backlog_blocks_nobody_while_the_engine_is_away(logged: list[Any]) -> None:
    """A heartbeat submits removals too."""
    queue, engine = CleanupQueue(threads=1), AwayEngine(EngineUnavailable("away"))
    queue.submit(DELIVERY, partial(engine.remove, 0))
    eventually(lambda: engine.tries > 1)

    for number in range(cleanup_queue._BACKLOG + 1):
        queue.submit(DELIVERY, partial(engine.remove, number))

    assert dropped([entry for entry in logged if entry["event"] != "runtime.removal_failed"]) == 1
    engine.answer()
    queue.close()


@pytest.mark.usefixtures("short_backoff")
def test_close_ends_the_wait_for_the_engine() -> None:
    queue, engine = CleanupQueue(threads=1), AwayEngine(EngineUnavailable("away"))
    queue.submit(DELIVERY, partial(engine.remove, 1))
    eventually(lambda: engine.tries > 1)

    queue.close()

    assert engine.removed == []


def test_removal_that_the_engine_rejects_does_not_hold_up_the_next() -> None:
    queue, engine = CleanupQueue(threads=1), AwayEngine(EngineFailed("no", call="remove the container"))
    done = threading.Event()

    queue.submit(DELIVERY, partial(engine.remove, 1))
    queue.submit(DELIVERY, done.set)

    assert done.wait(30)
    assert engine.tries == 1
    queue.close()
