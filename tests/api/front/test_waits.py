"""A request that waits for a job holds no thread, and frees its slot when it ends in any way."""

from contextlib import ExitStack, closing

from tests.api.front.conftest import THREADS, RunningFront, read_all
from tests.eventually import eventually

WAIT = b"POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def test_response_is_that_of_the_job_when_it_has_ended(front: RunningFront) -> None:
    with closing(front.connect()) as connection:
        connection.sendall(WAIT)
        eventually(lambda: front.app.requests)
        assert front.app.released == []

        front.ended_jobs.add("j")

        assert read_all(connection).endswith(b"GET /jobs/j 0")
    assert front.app.released == ["j"]


def test_waiting_requests_hold_no_thread(front: RunningFront) -> None:
    with ExitStack() as connections:
        for _ in range(THREADS * 5):
            connections.enter_context(closing(front.connect())).sendall(WAIT)
        eventually(lambda: len(front.app.requests) == THREADS * 5)

        assert front.get("/jobs").endswith(b"GET /jobs 0")


def test_wait_timeout_gets_408_and_frees_the_slot(front: RunningFront) -> None:
    front.app.wait_timeout_s = 0.05

    response = front.send(WAIT)

    assert response.startswith(b"HTTP/1.1 408")
    assert b"has not ended within its `wait`; it keeps running" in response
    assert front.app.released == ["j"]


def test_slot_is_free_when_the_client_has_gone(front: RunningFront) -> None:
    with closing(front.connect()) as connection:
        connection.sendall(WAIT)
        eventually(lambda: front.app.requests)

    eventually(lambda: front.app.released == ["j"])


WAIT_AGAIN = WAIT.replace(b"/wait", b"/wait-again")


def test_repeated_request_gets_409_while_the_job_runs(front: RunningFront) -> None:
    front.app.wait_timeout_s = 0.05

    response = front.send(WAIT_AGAIN).lower()

    assert response.startswith(b"http/1.1 409")
    assert b"retry-after: 1" in response
    assert front.app.released == ["j"]


def test_response_to_a_repeated_request_says_so(front: RunningFront) -> None:
    front.ended_jobs.add("j")

    assert b"idempotent-replay: true" in front.send(WAIT_AGAIN).lower()
    assert b"idempotent-replay" not in front.send(WAIT).lower()
