"""Responses whose body is read and sent in chunks.

A view leaves a function that reads the next chunk in its WSGI environment, under `BODY_KEY`. Status and
headers are those of the view's response. No thread waits while the client is slow.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Any

from tork_celery.api.front.wsgi import Response
from tork_celery.domain.errors import Unavailable

BODY_KEY = "tork.body"

ReadChunk = Callable[[], bytes | None]
"""Returns the next chunk, which may be empty; None at the end. After Unavailable it can be called again."""

_RETRY_S = 0.5


async def send_chunks(
    response: Response,
    read: ReadChunk,
    *,
    threads: Executor,
    send: Callable[[Any], Awaitable[None]],
    gone: "asyncio.Task[None]",
) -> None:
    """Send a response with the chunks that `read` returns in one of the threads, until `gone` is done."""
    loop = asyncio.get_running_loop()
    headers = [(name, value) for name, value in response.headers if name != b"content-length"]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    while not gone.done():
        try:
            chunk = await loop.run_in_executor(threads, read)
        except Unavailable:
            await asyncio.wait((gone,), timeout=_RETRY_S)
            continue
        if chunk is None:
            await send({"type": "http.response.body", "body": b""})
            return
        if chunk:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
