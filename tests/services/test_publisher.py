"""Messages that follow from a plan."""

from tests.domain.samples import make_task
from tests.services.fakes import FakeDispatcher
from tork_celery.services.publisher import MAX_COUNTDOWN_S, Publisher


def test_retry_is_sent_with_a_countdown(dispatcher: FakeDispatcher) -> None:
    Publisher(dispatcher).send([make_task(due_at=110.0), make_task()], now=100.0)

    assert dispatcher.delays_s == [10.0, 0.0]


def test_retry_with_long_delay_is_left_to_the_sweep(dispatcher: FakeDispatcher) -> None:
    Publisher(dispatcher).send([make_task(due_at=101.0 + MAX_COUNTDOWN_S)], now=100.0)

    assert dispatcher.sent == []


def test_steps_are_killed_and_subjobs_cancelled(dispatcher: FakeDispatcher) -> None:
    queued, running = make_task(), make_task(node="n")
    with_subjob = make_task(subjob_id="s")

    publisher = Publisher(dispatcher)
    publisher.kill_steps([queued, running, with_subjob])
    publisher.cancel_subjobs([queued, running, with_subjob])

    assert dispatcher.killed_steps == [running]
    assert dispatcher.cancelled_subjobs == ["s"]


def test_nothing_is_published_after_the_broker_fails_once(dispatcher: FakeDispatcher) -> None:
    publisher = Publisher(dispatcher)
    dispatcher.away = True
    publisher.send([make_task(), make_task()], now=100.0)
    dispatcher.away = False

    publisher.start_children(["parent"])

    assert (dispatcher.failed_calls, dispatcher.sent, dispatcher.parents_to_start) == (1, [], [])
