"""A proxy of the engine's socket, whose connections and answers a test can break."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ENGINE_SOCKET = "/var/run/docker.sock"
_CONNECTION_HEADER = re.compile(rb"\r\nConnection: keep-alive\r\n", re.IGNORECASE)
_LENGTH_HEADER = re.compile(rb"\r\nContent-Length: (\d+)\r\n", re.IGNORECASE)


@dataclass(slots=True)
class _Fault:
    """An answer in place of the engine's. None for `status`: the connection is closed without one."""

    request: re.Pattern[str]
    times: int
    status: int | None = None
    message: str = ""
    hangs: bool = False


class EngineProxy:
    """Forwards requests to the engine, each over a connection of its own."""

    def __init__(self, path: Path) -> None:
        self.url = f"unix://{path}"
        self.requests: list[str] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._lock = threading.Lock()
        self._faults: list[_Fault] = []
        self._sockets: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def answer(self, request: str, status: int, message: str, *, times: int = 1) -> None:
        """Answer the next `times` requests whose method and path match with an error."""
        self._faults.append(_Fault(re.compile(request), times, status, message))

    def drop(self, request: str, *, times: int = 1) -> None:
        """Close the connections of the next `times` requests that match, without an answer."""
        self._faults.append(_Fault(re.compile(request), times))

    def hang(self, request: str) -> None:
        """Answer no request that matches."""
        self._faults.append(_Fault(re.compile(request), 1_000_000, hangs=True))

    def heal(self) -> None:
        """Forward all requests from now on."""
        self._faults.clear()

    def count(self, request: str) -> int:
        """Return the number of requests so far that match."""
        return sum(re.search(request, each) is not None for each in self.requests)

    def break_connections(self) -> None:
        """Break all connections. New ones are accepted."""
        with self._lock:
            for each in self._sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Break all connections. New ones are refused."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.break_connections()
        for thread in self._threads:
            thread.join()
        for each in self._sockets:
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._sockets.add(client)
            self._start(client)

    def _start(self, client: socket.socket) -> None:
        thread = threading.Thread(target=self._serve, args=[client], daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self, client: socket.socket) -> None:
        """Serve one request, and then close the connection."""
        with suppress(OSError):
            data = _read_request(client)
            if not data:
                return
            request = " ".join(data.split(b"\r\n", 1)[0].decode().split(" ")[:2])
            self.requests.append(request)
            fault = self._next_fault(request)
            if fault is None:
                self._forward(client, _CONNECTION_HEADER.sub(b"\r\nConnection: close\r\n", data, 1))
            elif fault.hangs:
                client.recv(1)  # returns when the client or the test closes the connection
            elif fault.status is not None:
                client.sendall(_response(fault.status, fault.message))
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def _next_fault(self, request: str) -> _Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.times > 0 and fault.request.search(request):
                    fault.times -= 1
                    return fault
        return None

    def _forward(self, client: socket.socket, data: bytes) -> None:
        engine = socket.socket(socket.AF_UNIX)
        engine.connect(ENGINE_SOCKET)
        with self._lock:
            self._sockets.add(engine)
        engine.sendall(data)
        back = threading.Thread(target=_copy, args=[engine, client], daemon=True)
        back.start()
        _copy(client, engine)
        back.join()


@contextmanager
def engine_proxy(path: Path) -> Iterator[EngineProxy]:
    """Run a proxy that listens at `path`."""
    proxy = EngineProxy(path)
    yield proxy
    proxy.close()


def _read_request(client: socket.socket) -> bytes:
    """Read a request with its body, if that has a length. Return what arrived when the client hangs up."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (piece := client.recv(65536)):
            return data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = _LENGTH_HEADER.search(head + b"\r\n")
    missing = (int(length[1]) if length else 0) - len(body)
    while missing > 0 and (piece := client.recv(65536)):
        data, missing = data + piece, missing - len(piece)
    return data


def _response(status: int, message: str) -> bytes:
    body = json.dumps({"message": message}).encode()
    head = f"HTTP/1.1 {status} Error\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
