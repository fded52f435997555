"""Clients that send HTTP requests as fast as they are answered, each in a process of its own.

A client is a socket that is kept alive and a loop that sends fixed bytes: it takes about 0.05 ms of CPU time
for a request, so the server is the bottleneck.
"""

import multiprocessing
import socket
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.measuring import percentile

_READ_BYTES = 1 << 16
_START_WITHIN_S = 10
_forked = multiprocessing.get_context("fork")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Requests that `clients` send in turn to a port of this machine for `duration_s` seconds."""

    port: int
    requests: Sequence[bytes]
    clients: int
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What a load has measured. Times are in milliseconds."""

    per_s: float
    p50_ms: float
    p99_ms: float

    @classmethod
    def median(cls, rounds: Sequence["Rate"]) -> "Rate":
        """Return the median of each figure."""
        columns = {name: [asdict(each)[name] for each in rounds] for name in ("per_s", "p50_ms", "p99_ms")}
        return cls(**{name: statistics.median(values) for name, values in columns.items()})

    def __str__(self) -> str:
        return f"{self.per_s:7.0f}/s  p50 {self.p50_ms:6.1f} ms  p99 {self.p99_ms:6.1f} ms"


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def post(path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def measure(load: Load) -> Rate:
    """Send the requests and return their rate. Raises RuntimeError for a response other than 200."""
    barrier = _forked.Barrier(load.clients)
    pipes = [_forked.Pipe(duplex=False) for _ in range(load.clients)]
    clients = [
        _forked.Process(target=_client, args=(load, number, barrier, sender))
        for number, (_, sender) in enumerate(pipes)
    ]
    for client in clients:
        client.start()
    answers = [receiver.recv() for receiver, _ in pipes]
    for client in clients:
        client.join()
    if failures := [answer for answer in answers if isinstance(answer, str)]:
        raise RuntimeError(failures[0])
    times_s = [time_s for answer in answers for time_s in answer]
    return Rate(
        per_s=len(times_s) / load.duration_s,
        p50_ms=1000 * percentile(times_s, 50),
        p99_ms=1000 * percentile(times_s, 99),
    )


def _client(load: Load, number: int, barrier: Any, sender: Any) -> None:
    """Send the times of all requests that were answered, in seconds, or the text of an error."""
    try:
        with socket.create_connection(("127.0.0.1", load.port), timeout=30) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            barrier.wait(_START_WITHIN_S)
            sender.send(_send_requests(connection, load, first=number))
    except (OSError, RuntimeError) as error:
        sender.send(f"{type(error).__name__}: {error}")


def _send_requests(connection: socket.socket, load: Load, *, first: int) -> list[float]:
    times_s = list[float]()
    number = first
    now_s = time.perf_counter()
    end_s = now_s + load.duration_s
    while now_s < end_s:
        connection.sendall(load.requests[number % len(load.requests)])
        receive(connection)
        start_s, now_s = now_s, time.perf_counter()
        times_s.append(now_s - start_s)
        number += load.clients
    return times_s


def receive(connection: socket.socket) -> bytes:
    """Read a response and return its body. Raises RuntimeError unless its status is 200."""
    received = connection.recv(_READ_BYTES)
    while b"\r\n\r\n" not in received:
        chunk = connection.recv(_READ_BYTES)
        if not chunk:
            raise RuntimeError("the server has closed the connection")
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(_READ_BYTES)
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"{head.splitlines()[0].decode()}: {body[:200].decode()}")
    return body
