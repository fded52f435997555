"""An answer of the engine that is still coming in, which another thread may interrupt."""

import http.client
import socket
from collections.abc import Iterator
from typing import Any

import requests

from tork_celery.runtime.docker.error_mapping import translated

_CHUNK_BYTES = 256 * 1024


class EngineStream:
    """Read by one thread. Close it with `contextlib.closing`."""

    def __init__(self, response: requests.Response, *, timeout_s: float | None) -> None:
        self._response = response
        raw: Any = response.raw
        self._connection: http.client.HTTPConnection = raw.connection
        # From here on the connection is ours: given back to the pool at the end of the answer, it could be
        # another call's by the time that it is interrupted.
        raw._pool = None  # noqa: SLF001  urllib3 has no public way to say so
        self._socket: socket.socket = self._connection.sock
        self._socket.settimeout(timeout_s)

    def upgraded(self) -> Iterator[bytes]:
        """What comes after the headers when the connection was taken over from HTTP, as it comes."""
        # Not from the socket: what came in one piece with the headers waits in this buffer.
        raw: Any = self._response.raw
        buffer = raw._fp.fp  # noqa: SLF001  urllib3 has no public way to it
        while True:
            with translated():
                data = buffer.read1(_CHUNK_BYTES)
            if not data:
                return
            yield data

    def chunks(self) -> Iterator[bytes]:
        """The body, as it comes."""
        pieces = self._response.raw.stream(_CHUNK_BYTES)
        while True:
            with translated():
                data = next(pieces, b"")
            if not data:
                return
            yield data

    def interrupt(self) -> None:
        """Make the reader see the end of the stream, or a failure, now."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it is over already

    def close(self) -> None:
        self._response.close()
        self._connection.close()
