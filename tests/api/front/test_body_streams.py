"""A response that is sent in chunks holds no thread of requests, and ends when its client has gone."""

import threading
from contextlib import ExitStack, closing

from tests.api.front.conftest import THREADS, RunningFront, read_all
from tests.eventually import eventually
from tork_celery.domain.errors import DatastoreUnavailable

STREAM = b"GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def test_chunks_are_sent_in_order(front: RunningFront) -> None:
    front.app.chunks = iter([b"one", b"", b"two", None])

    response = front.send(STREAM)

    head, _, body = response.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"transfer-encoding: chunked" in head.lower()
    assert body == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


def test_chunk_is_read_again_after_an_outage(front: RunningFront) -> None:
    front.app.chunks = iter([b"one", DatastoreUnavailable("away"), b"two", None])

    assert front.send(STREAM).endswith(b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")


def test_clients_that_read_nothing_hold_no_thread(front: RunningFront) -> None:
    with ExitStack() as connections:
        front.app.endless_chunk = b"x" * 1_000_000
        for _ in range(THREADS * 5):
            connections.enter_context(closing(front.connect())).sendall(STREAM)
        eventually(lambda: len(front.app.requests) == THREADS * 5)

        assert front.get("/jobs").endswith(b"GET /jobs 0")


def test_stream_ends_when_the_client_has_gone(front: RunningFront) -> None:
    front.app.endless_chunk = b"x"
    with closing(front.connect()) as connection:
        connection.sendall(STREAM)
        eventually(lambda: front.app.reads)

    def has_ended() -> bool:
        reads = front.app.reads
        threading.Event().wait(0.05)
        return front.app.reads == reads

    eventually(has_ended)


def test_bug_in_a_stream_cuts_the_response_off(front: RunningFront) -> None:
    front.app.chunks = iter([b"one", KeyError("a bug")])

    with closing(front.connect()) as connection:
        connection.sendall(STREAM)
        assert not read_all(connection).endswith(b"0\r\n\r\n")
