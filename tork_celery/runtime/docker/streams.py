"""An answer of the engine that is still coming in, which another thread may interrupt."""

import socket
from collections.abc import Iterator
from typing import Any

import requests

from tork_celery.runtime.docker.faults import translated

_CHUNK_BYTES = 256 * 1024


class EngineStream:
    """Read by one thread. Close it, with `contextlib.closing`, to give its connection back."""

    def __init__(self, response: requests.Response, *, timeout_s: float | None) -> None:
        self._response = response
        self._socket: socket.socket | None = getattr(response.raw.connection, "sock", None)
        if self._socket is not None:
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
        if self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it is over already

    def close(self) -> None:
        self._response.close()
