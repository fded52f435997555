"""Messages that follow from a plan."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.domain.samples import make_task
from tests.eventually import eventually
from tests.services.fakes import FakeDispatcher
from tork_celery.domain.model import Task
from tork_celery.publisher import BackgroundPublisher, Publisher


def test_steps_are_killed_and_subjobs_cancelled() -> None:
    dispatcher = FakeDispatcher()
    queued, running = make_task(), make_task(node="n")
    with_subjob = make_task(subjob_id="s")

    publisher = Publisher(dispatcher)
    publisher.kill_steps([queued, running, with_subjob])
    publisher.cancel_subjobs([queued, running, with_subjob])

    assert dispatcher.killed_steps == [running]
    assert dispatcher.cancelled_subjobs == ["s"]


def test_nothing_is_published_after_the_broker_fails_once() -> None:
    dispatcher = FakeDispatcher()
    publisher = Publisher(dispatcher)
    dispatcher.away = True
    publisher.send([make_task(), make_task()])
    dispatcher.away = False

    publisher.start_children(["parent"])

    assert (dispatcher.failed_calls, dispatcher.sent, dispatcher.parents_to_start) == (1, [], [])


class SlowDispatcher(FakeDispatcher):
    """A dispatcher whose broker answers once it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.called = threading.Event()
        self.answers = threading.Event()

    def send_all(self, tasks: Sequence[Task]) -> None:
        self.called.set()
        assert self.answers.wait(10)
        super().send_all(tasks)


@contextmanager
def started(dispatcher: FakeDispatcher, *, limit: int = 100) -> Iterator[BackgroundPublisher]:
    publisher = BackgroundPublisher(dispatcher, limit=limit)
    publisher.start()
    try:
        yield publisher
    finally:
        publisher.stop()


def test_background_publisher_does_not_wait_for_the_broker() -> None:
    dispatcher = SlowDispatcher()
    first, second = make_task(), make_task()
    with started(dispatcher) as publisher:
        publisher.send([first])
        publisher.send([second])
        assert dispatcher.sent == []
        dispatcher.answers.set()

    assert dispatcher.sent == [first, second]


def test_background_publisher_drops_what_is_beyond_its_limit() -> None:
    dispatcher = SlowDispatcher()
    tasks = [make_task() for _ in range(4)]
    with started(dispatcher, limit=2) as publisher:
        publisher.send(tasks[:1])
        assert dispatcher.called.wait(10)
        for task in tasks[1:]:
            publisher.send([task])
        dispatcher.answers.set()

    assert dispatcher.sent == tasks[:3]


def test_background_publisher_drops_what_waits_when_the_broker_fails() -> None:
    dispatcher = SlowDispatcher()
    dispatcher.away = True
    with started(dispatcher) as publisher:
        publisher.send([make_task()])
        assert dispatcher.called.wait(10)
        publisher.start_children(["parent"])
        dispatcher.answers.set()
        eventually(lambda: dispatcher.failed_calls)
        dispatcher.away = False
        last = make_task()
        publisher.send([last])

    assert (dispatcher.sent, dispatcher.parents_to_start) == ([last], [])


def test_background_publisher_survives_a_bug() -> None:
    class BuggyDispatcher(FakeDispatcher):
        def start_children(self, task_id: str) -> None:
            raise ZeroDivisionError(task_id)

    dispatcher = BuggyDispatcher()
    last = make_task()
    with started(dispatcher) as publisher:
        publisher.start_children(["parent"])
        publisher.send([last])

    assert dispatcher.sent == [last]
