"""A response of the engine whose body is read as it arrives, and which another thread may interrupt."""

import http.client
import socket
from collections.abc import Iterator
from typing import Any

import requests

from tork_celery.runtime.docker.error_mapping import map_engine_errors

_CHUNK_BYTES = 256 * 1024


class EngineStream:
    """The body of a response, for one reader. Close it with `contextlib.closing`.

    `timeout_s` is the longest wait for the next bytes; None waits without limit. Reading raises
    EngineUnavailable.
    """

    def __init__(self, response: requests.Response, *, timeout_s: float | None) -> None:
        self._response = response
        raw: Any = response.raw
        self._connection: http.client.HTTPConnection = raw.connection
        # Take the connection out of the pool. The pool would give it to another call when the body ends, and
        # `interrupt` would hit that call.
        raw._pool = None  # noqa: SLF001  urllib3 has no public way to do this
        self._socket: socket.socket = self._connection.sock or _socket_of(raw)
        self._socket.settimeout(timeout_s)

    def upgraded(self) -> Iterator[bytes]:
        """Yield the bytes that follow the headers of a connection that was upgraded from HTTP."""
        # Read from the buffer: it holds the bytes that arrived together with the headers.
        raw: Any = self._response.raw
        buffer = raw._fp.fp  # noqa: SLF001  urllib3 has no public way to it
        while True:
            with map_engine_errors("send its answer"):
                data = buffer.read1(_CHUNK_BYTES)
            if not data:
                return
            yield data

    def chunks(self) -> Iterator[bytes]:
        """Yield the body."""
        pieces = self._response.raw.stream(_CHUNK_BYTES)
        while True:
            with map_engine_errors("send its answer"):
                data = next(pieces, b"")
            if not data:
                return
            yield data

    def interrupt(self) -> None:
        """Make the reader see the end of the stream, or an error, now."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # the stream has ended

    def close(self) -> None:
        self._response.close()
        self._connection.close()


def _socket_of(raw: Any) -> socket.socket:
    """Return the socket of a response after which the engine, or a proxy of it, closes the connection."""
    sock: socket.socket = raw._fp.fp.raw._sock  # noqa: SLF001  http.client has no public way to it
    return sock
