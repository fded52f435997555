"""Slow, broken and greedy clients cost no thread, and get a clear error."""

import json
from contextlib import ExitStack, closing

import pytest

from tests.api.front.conftest import BODY_LIMIT_BYTES, THREADS, RunningFront, read_all
from tests.eventually import eventually
from tork_celery.api.front import bodies, protocol, recent_responses

HALF_HEADERS = b"POST /jobs HTTP/1.1\r\nHo"
HALF_BODY = b"POST /jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\nabcd"


def post(body: bytes, path: str = "/jobs") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def status(response: bytes) -> int:
    return int(response.split(b" ", 2)[1])


def message(response: bytes) -> str:
    assert b"content-type: application/json" in response
    text: str = json.loads(response.partition(b"\r\n\r\n")[2])["message"]
    return text


@pytest.mark.parametrize("unfinished", [b"", HALF_HEADERS, HALF_BODY])
def test_unfinished_requests_keep_nobody_from_being_served(front: RunningFront, unfinished: bytes) -> None:
    with ExitStack() as connections:
        for _ in range(100):
            connections.enter_context(closing(front.connect())).sendall(unfinished)

        assert front.get("/jobs").endswith(b"GET /jobs 0")
        assert front.get("/health").endswith(b"GET /health 0")


def test_health_answers_while_all_threads_are_busy(front: RunningFront) -> None:
    with ExitStack() as connections:
        for _ in range(THREADS):
            connection = connections.enter_context(closing(front.connect()))
            connection.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: len(front.app.requests) == THREADS)

        assert front.get("/health").endswith(b"GET /health 0")
        front.app.proceed.set()


def test_complete_body_reaches_the_application(front: RunningFront) -> None:
    assert front.send(post(b"a" * 900)).endswith(b"POST /jobs 900")


def test_chunked_body_reaches_the_application(front: RunningFront) -> None:
    head = b"POST /jobs HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"

    assert front.send(head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").endswith(b"POST /jobs 5")


def test_body_above_the_limit_gets_413(front: RunningFront) -> None:
    response = front.send(post(b"a" * (BODY_LIMIT_BYTES + 1)))

    assert status(response) == 413
    assert message(response) == f"the body is larger than {BODY_LIMIT_BYTES} bytes"
    assert front.app.requests == []


@pytest.mark.parametrize(
    "request_",
    [
        b"NONSENSE\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost a\r\n\r\n",
    ],
)
def test_malformed_request_gets_400_with_a_message(front: RunningFront, request_: bytes) -> None:
    response = front.send(request_)

    assert status(response) == 400
    assert message(response).startswith("invalid http request")


def test_headers_above_the_limit_get_431_with_a_message(front: RunningFront) -> None:
    response = front.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * (protocol.MAX_HEADER_BYTES + 1))

    assert status(response) == 431
    assert message(response)


def test_long_query_and_many_headers_are_accepted(front: RunningFront) -> None:
    query = b"%E6%BC%A2" * 1000
    headers = b"".join(b"X-%d: a\r\n" % number for number in range(200))
    request = b"GET /jobs?q=" + query + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + headers + b"\r\n"

    assert status(front.send(request)) == 200
    assert front.app.requests[0]["QUERY_STRING"] == f"q={query.decode()}"


def test_header_of_20_kb_is_accepted(front: RunningFront) -> None:
    request = b"GET /jobs HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: " + b"a" * 20_000 + b"\r\n\r\n"

    assert status(front.send(request)) == 200


def test_line_feeds_alone_are_no_line_ends(front: RunningFront) -> None:
    response = front.send(b"GET /jobs HTTP/1.1\nHost: a\nConnection: close\n\n")

    assert status(response) == 400
    assert message(response)


def test_late_headers_get_408(front: RunningFront, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADER_TIMEOUT_S", 0.05)

    response = front.send(HALF_HEADERS)

    assert status(response) == 408
    assert "headers" in message(response)


def test_idle_connection_is_closed(front: RunningFront, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADER_TIMEOUT_S", 0.05)

    assert front.send(b"") == b""


def test_unfinished_connection_makes_room(front: RunningFront, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MAX_CONNECTIONS", 1)
    with closing(front.connect()) as unfinished:
        unfinished.sendall(HALF_HEADERS)

        assert front.get("/health").endswith(b"GET /health 0")
        assert status(read_all(unfinished)) == 503


def test_bodies_in_memory_are_bounded(front: RunningFront, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_BUFFERED_BYTES", 500)

    assert status(front.send(post(b"a" * 501))) == 503
    assert status(front.send(post(b"a" * 500))) == 200  # the memory of the first is free again


def test_header_that_occurs_twice_is_joined(front: RunningFront) -> None:
    front.send(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\nContent-Type: c/d\r\nConnection: close\r\n"
        b"Content-Length: 0\r\n\r\n"
    )

    assert front.app.requests[0]["CONTENT_TYPE"] == "a/b,c/d"


def test_path_is_decoded_as_wsgi_demands(front: RunningFront) -> None:
    front.get("/jobs/%E6%BC%A2%00")

    assert front.app.requests[0]["PATH_INFO"] == "/jobs/漢\0".encode().decode("latin-1")


def test_recent_requests_for_the_health_share_a_check(
    front: RunningFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent_responses, "MAX_AGE_S", 60.0)

    for _ in range(3):
        assert front.get("/health").endswith(b"GET /health 0")

    assert [request["PATH_INFO"] for request in front.app.requests] == ["/health"]
