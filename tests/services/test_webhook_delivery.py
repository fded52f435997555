"""Webhook calls are made until the receiver accepts them or they are given up."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sqlalchemy import select, update

from tests.eventually import eventually
from tests.store.stores import FlakyDatabase
from tork_celery.domain.webhooks import WebhookCall
from tork_celery.services.webhook_delivery import DeliveryResult, WebhookSender, post_call
from tork_celery.store import webhook_queue
from tork_celery.store.tables import webhook_calls

THREADS = 2


def make_call(body: str, url: str = "http://127.0.0.1:1") -> WebhookCall:
    return WebhookCall(stream=body, job_id="j", event="job.StateChange", url=url, headers={}, body=body)


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
    return sender._free_threads == THREADS


@contextmanager
def webhook_sender(
    database: FlakyDatabase, receiver: FakeReceiver, *, threads: int = THREADS
) -> Iterator[WebhookSender]:
    sender = WebhookSender(database, post=receiver, threads=threads)
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
            database.failures_left = 2 if not self.received else 0
            return super().__call__(call)

    receiver = CuttingReceiver(DeliveryResult.DELIVERED)
    add(database, make_call("a"))

    with webhook_sender(database, receiver) as sender:
        sender.deliver_due()
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


class HttpReceiver(ThreadingHTTPServer):
    """Answers each request with the status that its path names."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: HttpReceiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((dict(self.headers), body))
        self.send_response(int(self.path.strip("/")))
        self.send_header("Location", "/200")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """Log nothing."""


@pytest.fixture(scope="module")
def http_receiver() -> Iterator[HttpReceiver]:
    with HttpReceiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (200, DeliveryResult.DELIVERED),
        (204, DeliveryResult.DELIVERED),
        (302, DeliveryResult.REJECTED),
        (404, DeliveryResult.REJECTED),
        (429, DeliveryResult.RETRY),
        (500, DeliveryResult.RETRY),
        (503, DeliveryResult.RETRY),
    ],
)
def test_response_status_decides_the_result(
    http_receiver: HttpReceiver, status: int, result: DeliveryResult
) -> None:
    assert post_call(make_call("a", f"{http_receiver.url}/{status}"))[0] is result


def test_headers_and_body_are_sent_unchanged(http_receiver: HttpReceiver) -> None:
    url = f"{http_receiver.url}/200"
    headers = {"content-type": "text/x", "X-Name": "ü"}
    body = '{"a": "\\u00fc"}'

    post_call(WebhookCall(stream="s", job_id="j", event="e", url=url, headers=headers, body=body))

    received_headers, received_body = http_receiver.requests[-1]
    assert received_body == body.encode()
    assert received_headers["content-type"] == "text/x"
    assert received_headers["X-Name"] == "ü".encode().decode("latin-1")


def test_default_content_type_is_json(http_receiver: HttpReceiver) -> None:
    post_call(make_call("a", f"{http_receiver.url}/200"))

    assert http_receiver.requests[-1][0]["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("url", "result"),
    [
        ("http://127.0.0.1:1/", DeliveryResult.RETRY),
        ("http://nowhere.invalid/", DeliveryResult.RETRY),
        ("http://", DeliveryResult.REJECTED),
        ("http://a..b/", DeliveryResult.REJECTED),
        ("http://[::1", DeliveryResult.REJECTED),
        ("http://127.0.0.1:99999/", DeliveryResult.REJECTED),
        ("http://" + "ü" * 300 + "/", DeliveryResult.REJECTED),
    ],
)
def test_unreachable_url_is_retried_and_invalid_url_is_rejected(url: str, result: DeliveryResult) -> None:
    assert post_call(make_call("a", url))[0] is result
