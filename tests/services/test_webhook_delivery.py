"""Calls are made until they are taken, or given up."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sqlalchemy import select, update

from tests.eventually import eventually
from tests.store.stores import CuttableDatabase
from tork_celery.domain.webhooks import WebhookCall
from tork_celery.services.webhook_delivery import DeliveryResult, WebhookSender, post
from tork_celery.store import webhook_queue
from tork_celery.store.tables import webhook_calls as table


def call(name: str, url: str = "http://127.0.0.1:1") -> WebhookCall:
    return WebhookCall(stream=name, job_id="j", event="job.StateChange", url=url, headers={}, body=name)


class Receiver:
    """Takes calls; `answers` are what it says in turn, the last of them from then on."""

    def __init__(self, *answers: DeliveryResult) -> None:
        self.answers = list(answers)
        self.heard: list[str] = []

    def __call__(self, call: WebhookCall) -> tuple[DeliveryResult, str]:
        self.heard.append(call.body)
        return (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]), "so it is"


class SlowReceiver(Receiver):
    """Answers when it may."""

    def __init__(self, *answers: DeliveryResult) -> None:
        super().__init__(*answers)
        self.may_answer = threading.Event()

    def __call__(self, call: WebhookCall) -> tuple[DeliveryResult, str]:
        assert self.may_answer.wait(30)
        return super().__call__(call)


def add(database: CuttableDatabase, *calls: WebhookCall) -> None:
    with database.transaction() as tx:
        webhook_queue.add(tx, calls)


def waiting(database: CuttableDatabase) -> list[tuple[str, int]]:
    with database.reading() as tx:
        return [(row.body, row.attempts) for row in tx.execute(select(table).order_by(table.c.id))]


def make_due(database: CuttableDatabase) -> None:
    with database.transaction() as tx:
        tx.execute(update(table).values(due_at=0.0))


@contextmanager
def webhook_sender(
    database: CuttableDatabase, receiver: Receiver, *, threads: int = 2
) -> Iterator[WebhookSender]:
    found = WebhookSender(database, make=receiver, threads=threads)
    try:
        yield found
    finally:
        found._pool.shutdown(wait=True)


def test_a_delivered_call_is_gone(database: CuttableDatabase) -> None:
    receiver = Receiver(DeliveryResult.DELIVERED)
    add(database, call("a"), call("b"))

    with webhook_sender(database, receiver) as at_work:
        at_work.deliver_due()
        eventually(lambda: waiting(database) == [])

    assert sorted(receiver.heard) == ["a", "b"]


def test_more_calls_than_threads_are_all_made_from_one_beginning(database: CuttableDatabase) -> None:
    receiver = Receiver(DeliveryResult.DELIVERED)
    add(database, *(call(str(number)) for number in range(20)))

    with webhook_sender(database, receiver) as at_work:
        at_work.deliver_due()
        eventually(lambda: waiting(database) == [])

    assert len(receiver.heard) == 20


def test_a_call_that_failed_waits_for_its_next_time(database: CuttableDatabase) -> None:
    receiver = Receiver(DeliveryResult.RETRY, DeliveryResult.DELIVERED)
    add(database, call("a"))

    with webhook_sender(database, receiver) as at_work:
        at_work.deliver_due()
        eventually(lambda: at_work._free == 2)
        at_work.deliver_due()
        assert (receiver.heard, waiting(database)) == (["a"], [("a", 1)])

        make_due(database)
        at_work.deliver_due()
        eventually(lambda: waiting(database) == [])

    assert receiver.heard == ["a", "a"]


def test_after_five_times_it_is_given_up(database: CuttableDatabase) -> None:
    receiver = Receiver(DeliveryResult.RETRY)
    add(database, call("a"))

    with webhook_sender(database, receiver) as at_work:
        for number in range(1, 7):
            make_due(database)
            at_work.deliver_due()
            eventually(lambda: at_work._free == 2)
            assert waiting(database) == ([("a", number)] if number < 5 else [])

    assert receiver.heard == ["a"] * 5


def test_what_is_refused_is_not_tried_again(database: CuttableDatabase) -> None:
    receiver = Receiver(DeliveryResult.REJECTED)
    add(database, call("a"))

    with webhook_sender(database, receiver) as at_work:
        at_work.deliver_due()
        eventually(lambda: waiting(database) == [])

    assert receiver.heard == ["a"]


def test_a_slow_receiver_does_not_keep_anybody_waiting(database: CuttableDatabase) -> None:
    receiver = SlowReceiver(DeliveryResult.DELIVERED)
    add(database, *(call(str(number)) for number in range(5)))

    with webhook_sender(database, receiver) as at_work:
        at_work.deliver_due()
        at_work.deliver_due()
        assert [attempts for _, attempts in waiting(database)] == [1, 1, 0, 0, 0]
        receiver.may_answer.set()
        eventually(lambda: waiting(database) == [])


def test_a_call_whose_end_cannot_be_stored_is_made_again(database: CuttableDatabase) -> None:
    class Cutting(Receiver):
        def __call__(self, call: WebhookCall) -> tuple[DeliveryResult, str]:
            database.outages = 2 if not self.heard else 0
            return super().__call__(call)

    receiver = Cutting(DeliveryResult.DELIVERED)
    add(database, call("a"))

    with webhook_sender(database, receiver) as at_work:
        at_work.deliver_due()
        eventually(lambda: at_work._free == 2 and not database.outages)
        assert waiting(database) == [("a", 1)]
        make_due(database)
        at_work.deliver_due()
        eventually(lambda: waiting(database) == [])

    assert receiver.heard == ["a", "a"]


def test_a_bug_keeps_no_thread(database: CuttableDatabase) -> None:
    class Broken(Receiver):
        def __call__(self, call: WebhookCall) -> tuple[DeliveryResult, str]:
            super().__call__(call)
            raise ZeroDivisionError

    add(database, call("a"))

    with webhook_sender(database, Broken(DeliveryResult.RETRY)) as at_work:
        at_work.deliver_due()
        eventually(lambda: at_work._free == 2)

    assert waiting(database) == [("a", 1)]


def test_one_that_is_closed_ends_what_it_began_and_leaves_the_rest_as_it_is(
    database: CuttableDatabase,
) -> None:
    receiver = SlowReceiver(DeliveryResult.DELIVERED)
    add(database, call("a"), call("b"))

    with webhook_sender(database, receiver, threads=1) as at_work:
        at_work.deliver_due()
        at_work.close()
        receiver.may_answer.set()

    at_work.deliver_due()
    assert (receiver.heard, waiting(database)) == (["a"], [("b", 0)])


def test_two_couriers_make_a_call_once(database: CuttableDatabase) -> None:
    receiver = Receiver(DeliveryResult.DELIVERED)
    add(database, *(call(str(number)) for number in range(30)))

    with webhook_sender(database, receiver) as one, webhook_sender(database, receiver) as another:
        one.deliver_due()
        another.deliver_due()
        eventually(lambda: waiting(database) == [])

    assert len(receiver.heard) == len(set(receiver.heard)) == 30


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((dict(self.headers), body))  # type: ignore[attr-defined]
        self.send_response(int(self.path.strip("/")))
        self.send_header("Location", "/200")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """Says nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as found:
        found.asked = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "answer"),
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
def test_the_status_decides(server: ThreadingHTTPServer, status: int, answer: DeliveryResult) -> None:
    assert post(call("a", f"http://127.0.0.1:{server.server_port}/{status}"))[0] is answer


def test_headers_and_body_arrive_as_they_are(server: ThreadingHTTPServer) -> None:
    url = f"http://127.0.0.1:{server.server_port}/200"
    headers = {"content-type": "text/x", "X-Name": "ü"}

    post(WebhookCall(stream="s", job_id="j", event="e", url=url, headers=headers, body='{"a": "\\u00fc"}'))

    got, body = server.asked[-1]  # type: ignore[attr-defined]
    assert body == b'{"a": "\\u00fc"}'
    assert (got["content-type"], got["X-Name"]) == ("text/x", "ü".encode().decode("latin-1"))
    post(call("plain", url))
    assert server.asked[-1][0]["Content-Type"] == "application/json"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("url", "answer"),
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
def test_where_nobody_answers_it_depends(url: str, answer: DeliveryResult) -> None:
    assert post(call("a", url))[0] is answer
