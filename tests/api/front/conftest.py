"""A real server in a thread, with an application that the tests control."""

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.eventually import eventually
from tork_celery.api.front import Front
from tork_celery.api.front.body_streams import BODY_KEY
from tork_celery.api.front.server import make_server
from tork_celery.api.front.waits import WAIT_KEY, JobWait

BODY_LIMIT_BYTES = 1000
THREADS = 2


@dataclass
class ControlledApp:
    """A WSGI application. `/slow` waits for `proceed`; `/stream` sends `chunks`, or `endless_chunk` without
    end if there is one; `/wait` asks the front to wait for the job `j`, and
    `/wait-again` does so for a repeated request."""

    proceed: threading.Event = field(default_factory=threading.Event)
    requests: list[dict[str, Any]] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    wait_timeout_s: float = 30.0
    chunks: Iterator[bytes | Exception | None] = field(default_factory=lambda: iter([None]))
    endless_chunk: bytes | None = None
    reads: int = 0

    def __call__(self, environment: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        self.requests.append(environment)
        path = environment["PATH_INFO"]
        if path == "/slow":
            self.proceed.wait(60)
        if path in ("/wait", "/wait-again"):
            replayed = path == "/wait-again"
            wait = JobWait("j", self.wait_timeout_s, lambda: self.released.append("j"), replayed=replayed)
            environment[WAIT_KEY].append(wait)
        if path == "/stream":
            environment[BODY_KEY].append(self._read_chunk)
        body = f"{environment['REQUEST_METHOD']} {path} {len(environment['wsgi.input'].read())}".encode()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [body]

    def _read_chunk(self) -> bytes | None:
        self.reads += 1
        chunk = next(self.chunks) if self.endless_chunk is None else self.endless_chunk
        if isinstance(chunk, Exception):
            raise chunk
        return chunk


@dataclass
class RunningFront:
    """A front that listens on `port`, its application, and the jobs that have ended."""

    port: int
    app: ControlledApp
    ended_jobs: set[str]

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def send(self, request: bytes) -> bytes:
        """Send a request and return all that the server sends until it closes the connection."""
        with closing(self.connect()) as connection:
            connection.sendall(request)
            return read_all(connection)

    def get(self, path: str) -> bytes:
        return self.send(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())


def read_all(connection: socket.socket) -> bytes:
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


@pytest.fixture
def front() -> Iterator[RunningFront]:
    app, ended = ControlledApp(), set[str]()
    listener = socket.create_server(("127.0.0.1", 0))
    server = make_server(
        lambda: Front(
            app,
            threads=THREADS,
            body_limit_bytes=BODY_LIMIT_BYTES,
            ended_jobs=lambda job_ids: ended & set(job_ids),
        ),
        host="127.0.0.1",
        port=0,
    )
    thread = threading.Thread(target=server.run, args=[[listener]])
    thread.start()
    try:
        eventually(lambda: server.started)
        yield RunningFront(listener.getsockname()[1], app, ended)
    finally:
        app.proceed.set()
        server.should_exit = True
        thread.join(30)
        listener.close()
