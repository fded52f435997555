"""Webhook calls are made until the receiver accepts them or they are given up."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, select, update
from structlog.testing import capture_logs

from tests.eventually import eventually
from tests.store.stores import FlakyDatabase
from tork_celery.domain.errors import SecretsUnreadable
from tork_celery.domain.webhooks import WebhookCall
from tork_celery.services.webhook_client import DeliveryResult, WebhookClient
from tork_celery.services.webhook_delivery import WebhookSender
from tork_celery.store import webhook_queue
from tork_celery.store.tables import webhook_calls
from tork_celery.store.webhook_queue import ClaimedCall

THREADS = 2

Post = Callable[[WebhookCall], tuple[DeliveryResult, str]]


def make_call(body: str, *, url: str = "http://127.0.0.1:1", job_id: str = "j") -> WebhookCall:
    return WebhookCall(stream=body, job_id=job_id, event="job.StateChange", url=url, headers={}, body=body)


class FakeReceiver:
    """Receives calls and returns `results` in turn, the last one for all further calls."""

    def __init__(self, *results: DeliveryResult) -> None:
        self.results = list(results)
        self.received: list[str] = []

    def __call__(self, call: WebhookCall) -> tuple[DeliveryResult, str]:
        self.received.append(call.body)
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        return result, "a reason"


class BlockingReceiver(FakeReceiver):
    """A receiver that answers after `may_answer` is set."""

    def __init__(self, *results: DeliveryResult) -> None:
        super().__init__(*results)
        self.may_answer = threading.Event()

    def __call__(self, call: WebhookCall) -> tuple[DeliveryResult, str]:
        assert self.may_answer.wait(30)
        return super().__call__(call)


def add(database: FlakyDatabase, *calls: WebhookCall) -> None:
    with database.transaction() as tx:
        webhook_queue.add(tx, calls)


def queued(database: FlakyDatabase) -> list[tuple[str, int]]:
    """Return the body and the attempts of the queued calls."""
    query = select(webhook_calls).order_by(webhook_calls.c.id)
    with database.reading() as tx:
        return [(row.body, row.attempts) for row in tx.execute(query)]


def make_due(database: FlakyDatabase) -> None:
    with database.transaction() as tx:
        tx.execute(update(webhook_calls).values(due_at=0.0))


def is_idle(sender: WebhookSender) -> bool:
    return not sender._in_progress.exclusions.ids


@contextmanager
def webhook_sender(
    database: FlakyDatabase, receiver: Post, *, threads: int = THREADS, share: int = THREADS
) -> Iterator[WebhookSender]:
    sender = WebhookSender(database, post=receiver, threads=threads, share=share)
    try:
        yield sender
    finally:
        sender._pool.shutdown(wait=True)


def test_delivered_calls_are_removed(database: FlakyDatabase) -> None:
    receiver = FakeReceiver(DeliveryResult.DELIVERED)
    add(database, make_call("a"), make_call("b"))

    with webhook_sender(database, receiver) as sender:
        sender.deliver_due()
        eventually(lambda: queued(database) == [])

    assert sorted(receiver.received) == ["a", "b"]


def test_one_request_delivers_more_calls_than_threads(database: FlakyDatabase) -> None:
    receiver = FakeReceiver(DeliveryResult.DELIVERED)
    add(database, *(make_call(str(number)) for number in range(20)))

    with webhook_sender(database, receiver) as sender:
        sender.deliver_due()
        eventually(lambda: queued(database) == [])

    assert len(receiver.received) == 20


def test_failed_call_is_retried_when_it_is_due_again(database: FlakyDatabase) -> None:
    receiver = FakeReceiver(DeliveryResult.RETRY, DeliveryResult.DELIVERED)
    add(database, make_call("a"))

    with webhook_sender(database, receiver) as sender:
        sender.deliver_due()
        eventually(lambda: is_idle(sender))
        sender.deliver_due()
        assert (receiver.received, queued(database)) == (["a"], [("a", 1)])

        make_due(database)
        sender.deliver_due()
        eventually(lambda: queued(database) == [])

    assert receiver.received == ["a", "a"]


def test_call_is_given_up_after_five_attempts(database: FlakyDatabase) -> None:
    receiver = FakeReceiver(DeliveryResult.RETRY)
    add(database, make_call("a"))

    with webhook_sender(database, receiver) as sender:
        for number in range(1, 7):
            make_due(database)
            sender.deliver_due()
            eventually(lambda: is_idle(sender))
            assert queued(database) == ([("a", number)] if number < 5 else [])

    assert receiver.received == ["a"] * 5


def test_rejected_call_is_not_retried(database: FlakyDatabase) -> None:
    receiver = FakeReceiver(DeliveryResult.REJECTED)
    add(database, make_call("a"))

    with webhook_sender(database, receiver) as sender:
        sender.deliver_due()
        eventually(lambda: queued(database) == [])

    assert receiver.received == ["a"]


def test_slow_receiver_does_not_block_the_caller(database: FlakyDatabase) -> None:
    receiver = BlockingReceiver(DeliveryResult.DELIVERED)
    add(database, *(make_call(str(number)) for number in range(5)))

    with webhook_sender(database, receiver) as sender:
        sender.deliver_due()
        sender.deliver_due()
        assert [attempts for _, attempts in queued(database)] == [1, 1, 0, 0, 0]
        receiver.may_answer.set()
        eventually(lambda: queued(database) == [])


def test_call_is_repeated_when_its_result_cannot_be_stored(database: FlakyDatabase) -> None:
    class CuttingReceiver(FakeReceiver):
        """Cuts the datastore off during the first call."""

        def __call__(self, call: WebhookCall) -> tuple[DeliveryResult, str]:
            assert claimed.wait(30)
            database.failures_left = 2 if not self.received else 0
            return super().__call__(call)

    claimed = threading.Event()
    receiver = CuttingReceiver(DeliveryResult.DELIVERED)
    add(database, make_call("a"))

    with webhook_sender(database, receiver) as sender:
        sender.deliver_due()
        claimed.set()
        eventually(lambda: is_idle(sender) and not database.failures_left)
        assert queued(database) == [("a", 1)]
        make_due(database)
        sender.deliver_due()
        eventually(lambda: queued(database) == [])

    assert receiver.received == ["a", "a"]


def test_bug_does_not_occupy_a_thread(database: FlakyDatabase) -> None:
    class BrokenReceiver(FakeReceiver):
        def __call__(self, call: WebhookCall) -> tuple[DeliveryResult, str]:
            super().__call__(call)
            raise ZeroDivisionError

    add(database, make_call("a"))

    with webhook_sender(database, BrokenReceiver(DeliveryResult.RETRY)) as sender:
        sender.deliver_due()
        eventually(lambda: is_idle(sender))

    assert queued(database) == [("a", 1)]


def test_closed_sender_finishes_claimed_calls_and_claims_no_more(database: FlakyDatabase) -> None:
    receiver = BlockingReceiver(DeliveryResult.DELIVERED)
    add(database, make_call("a"), make_call("b"))

    with webhook_sender(database, receiver, threads=1) as sender:
        sender.deliver_due()
        sender.close()
        receiver.may_answer.set()

    sender.deliver_due()
    assert (receiver.received, queued(database)) == (["a"], [("b", 0)])


def test_two_senders_make_each_call_once(database: FlakyDatabase) -> None:
    receiver = FakeReceiver(DeliveryResult.DELIVERED)
    add(database, *(make_call(str(number)) for number in range(30)))

    with webhook_sender(database, receiver) as first, webhook_sender(database, receiver) as second:
        first.deliver_due()
        second.deliver_due()
        eventually(lambda: queued(database) == [])

    assert len(receiver.received) == len(set(receiver.received)) == 30


class HangingReceiver(FakeReceiver):
    """Delivers calls of the job `intact`; others hang until `release` is set."""

    def __init__(self) -> None:
        super().__init__(DeliveryResult.DELIVERED)
        self.release = threading.Event()
        self.hanging: list[str] = []

    def __call__(self, call: WebhookCall) -> tuple[DeliveryResult, str]:
        if call.job_id != "intact":
            self.hanging.append(call.body)
            assert self.release.wait(30)
        return super().__call__(call)


@pytest.mark.parametrize("shared", ["receiver", "job"])
def test_hanging_receiver_or_job_leaves_threads_for_others(database: FlakyDatabase, shared: str) -> None:
    receiver = HangingReceiver()
    for number in range(10):
        url = "http://hanging/" if shared == "receiver" else f"http://hanging-{number}/"
        job_id = "hanging" if shared == "job" else f"hanging-{number}"
        add(database, make_call(str(number), url=url, job_id=job_id))
    add(database, *(make_call(f"intact-{number}", job_id="intact") for number in range(5)))

    with webhook_sender(database, receiver, threads=4, share=2) as sender:
        sender.deliver_due()
        eventually(lambda: len(receiver.received) == 5)
        assert sorted(receiver.hanging) == ["0", "1"]
        receiver.release.set()
        eventually(lambda: queued(database) == [])

    assert len(receiver.received) == len(set(receiver.received)) == 15


def test_call_in_progress_is_not_made_again_by_its_process(database: FlakyDatabase) -> None:
    receiver = BlockingReceiver(DeliveryResult.DELIVERED)
    add(database, make_call("a"))

    with webhook_sender(database, receiver) as sender:
        sender.deliver_due()
        make_due(database)  # as if the process had been frozen until after the end of its claim
        sender.deliver_due()
        assert queued(database) == [("a", 1)]
        receiver.may_answer.set()
        eventually(lambda: queued(database) == [])

    assert receiver.received == ["a"]


def test_invalid_url_is_given_up_and_logged_as_such(database: FlakyDatabase) -> None:
    add(database, make_call("a", url="http://[bad/"))

    with (
        capture_logs() as logged,
        webhook_sender(database, WebhookClient().post) as sender,
    ):
        sender.deliver_due()
        eventually(lambda: queued(database) == [])

    [entry] = logged
    assert (entry["event"], entry["reason"], entry["attempt"]) == ("webhook.given_up", "InvalidURL", 1)


def test_unreadable_call_blocks_no_other_and_is_given_up(
    database: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    get = webhook_queue.get

    def get_unless_damaged(tx: Connection, claimed: ClaimedCall) -> WebhookCall | None:
        call = get(tx, claimed)
        if call is not None and call.body == "damaged":
            raise SecretsUnreadable("a secret in the datastore is damaged")
        return call

    monkeypatch.setattr(webhook_queue, "get", get_unless_damaged)
    receiver = FakeReceiver(DeliveryResult.DELIVERED)
    add(database, make_call("damaged"), make_call("intact"))

    with webhook_sender(database, receiver) as sender:
        for _ in range(5):
            make_due(database)
            sender.deliver_due()
            eventually(lambda: is_idle(sender))

    assert (receiver.received, queued(database)) == (["intact"], [])
