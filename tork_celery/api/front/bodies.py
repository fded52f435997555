"""Reading of request bodies on the event loop: bounded in size, time and memory."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import Any

BODY_TIMEOUT_S = 60.0
"""Time for a whole body, from the end of the headers."""
MAX_BUFFERED_BYTES = 256 * 1024 * 1024
"""Memory for the bodies of all requests of a process that are not complete or not answered."""
_DRAINED_LIMITS = 8

Receive = Callable[[], Awaitable[Any]]


class ClientDisconnected(Exception):
    """The client closed the connection before its request was complete."""


class BodyRejected(Exception):
    """A body is too large, too slow, or one too many. `status` and the message are for the client."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class BodyReader:
    """Reads bodies of at most `limit_bytes` each. Runs on one event loop."""

    def __init__(self, *, limit_bytes: int, timeout_s: float = BODY_TIMEOUT_S) -> None:
        self._limit_bytes = limit_bytes
        self._timeout_s = timeout_s
        self._buffered_bytes = 0

    async def read(self, receive: Receive) -> bytes:
        """Return the body; call `release` with it afterwards. Raises BodyRejected, ClientDisconnected."""
        body = bytearray()
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._receive(_chunks(receive), body)
        except TimeoutError:
            self.release(body)
            message = f"the body was not complete within {self._timeout_s:g} s"
            raise BodyRejected(HTTPStatus.REQUEST_TIMEOUT, message) from None
        except (BodyRejected, ClientDisconnected):
            self.release(body)
            raise
        return bytes(body)

    def release(self, body: bytes | bytearray) -> None:
        """Count the memory of a body as free."""
        self._buffered_bytes -= len(body)

    async def _receive(self, chunks: AsyncIterator[bytes], body: bytearray) -> None:
        async for chunk in chunks:
            self._reserve(len(chunk))
            body += chunk
            if len(body) > self._limit_bytes:
                await self._drain(chunks)
                message = f"the body is larger than {self._limit_bytes} bytes"
                raise BodyRejected(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)

    def _reserve(self, size_bytes: int) -> None:
        if self._buffered_bytes + size_bytes > MAX_BUFFERED_BYTES:
            message = "too many requests are being received; try again later"
            raise BodyRejected(HTTPStatus.SERVICE_UNAVAILABLE, message)
        self._buffered_bytes += size_bytes

    async def _drain(self, chunks: AsyncIterator[bytes]) -> None:
        """Read on and drop the data: most clients read the response only after they have sent everything."""
        left_bytes = _DRAINED_LIMITS * self._limit_bytes
        async for chunk in chunks:
            left_bytes -= len(chunk)
            if left_bytes < 0:
                return


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    """Yield the parts of a body until it is complete. Raises ClientDisconnected."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        more = message.get("more_body", False)
        if chunk := message.get("body"):
            yield chunk
