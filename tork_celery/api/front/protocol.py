"""HTTP connections with limits: deadlines for headers and slow readers, a size for headers, JSON errors."""

import asyncio
import json
import math
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tork_celery.api.front.streams import CLOSE_KEY

HEADER_TIMEOUT_S = 10.0
"""Time for all headers of a request, from the connection or from the first byte of a further request."""
WRITE_TIMEOUT_S = 60.0
"""Time without progress before a client that does not read its response is disconnected."""
MAX_HEADER_BYTES = 64 * 1024
MAX_CONNECTIONS = 1024
"""Connections of a process. Beyond them the one that has sent headers for longest makes room."""


class LimitedHttpProtocol(HttpToolsProtocol):
    """One connection. Uses no thread until a request is complete."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.waits_for_headers_since = math.inf
        self._header_bytes = 0
        self._header_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            self._make_room()
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers_received()
        self._cancel_write_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        idle = self._header_timer is None and (self.cycle is None or self.cycle.response_complete)
        if idle:
            self._await_headers()
        super().data_received(data)
        if self._header_timer is not None:
            self._header_bytes += len(data)
            if self._header_bytes > MAX_HEADER_BYTES:
                self.reject(
                    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                    f"the request line and headers are larger than {MAX_HEADER_BYTES} bytes",
                )

    def on_headers_complete(self) -> None:
        self._headers_received()
        super().on_headers_complete()

    def shutdown(self) -> None:
        """Complete the response in progress, at once if it is a stream, and close the connection."""
        super().shutdown()
        scope: dict[str, Any] = {} if self.cycle is None else dict(self.cycle.scope)
        if CLOSE_KEY in scope:
            scope[CLOSE_KEY]()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(WRITE_TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        self._cancel_write_timer()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Reject what is not HTTP, a malformed chunk included."""
        self.reject(
            HTTPStatus.BAD_REQUEST, f"{msg.rstrip('.').lower()}: check the request line, headers and chunks"
        )

    def reject(self, status: HTTPStatus, message: str) -> None:
        """Send an error and close the connection."""
        self._headers_received()
        if self.transport.is_closing():
            return
        body = json.dumps({"message": message}).encode()
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _make_room(self) -> None:
        """Close the connection that has sent headers for longest, if there is one."""
        ours = [each for each in self.connections if isinstance(each, LimitedHttpProtocol)]
        oldest = min(ours, key=lambda each: each.waits_for_headers_since)
        if oldest.waits_for_headers_since < math.inf:
            oldest.reject(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections; try again later")

    def _await_headers(self) -> None:
        self._header_bytes = 0
        self.waits_for_headers_since = self.loop.time()
        self._header_timer = self.loop.call_later(HEADER_TIMEOUT_S, self._header_timeout)

    def _headers_received(self) -> None:
        self.waits_for_headers_since = math.inf
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _header_timeout(self) -> None:
        if self._header_bytes:
            message = f"the headers were not complete within {HEADER_TIMEOUT_S:g} s"
            self.reject(HTTPStatus.REQUEST_TIMEOUT, message)
        else:
            self._headers_received()
            self.transport.close()

    def _cancel_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
