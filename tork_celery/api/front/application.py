"""The ASGI application: it receives requests on the event loop and answers them by a WSGI application."""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from typing import Any
from wsgiref.types import WSGIApplication

import structlog

from tork_celery.api.front import wsgi
from tork_celery.api.front.bodies import BodyReader, BodyRejected, ClientDisconnected
from tork_celery.api.front.body_streams import BODY_KEY, ReadChunk, send_chunks
from tork_celery.api.front.hub import StreamHub
from tork_celery.api.front.recent_responses import RecentResponses
from tork_celery.api.front.streams import CLOSE_KEY, STREAM_KEY, EventStream, StreamRequest
from tork_celery.api.front.waits import WAIT_KEY, EndedJobs, JobPoller, JobWait
from tork_celery.api.front.wsgi import Headers, Response

log = structlog.get_logger(__name__)

MAX_QUEUED = 512
"""Complete requests of a process that wait for a thread. Beyond them: 503."""
_HEALTH = b"/health"
_CHUNK_THREADS = 2  # they read the chunks of long bodies

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class Front:
    """Hands complete requests to `app` in `threads` threads.

    `/health` has a thread of its own, so it answers while all others are busy; a response of it serves all
    requests of a second. `streams` serves the streams that views open.
    `on_startup` and `on_shutdown` run once for each process.
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        threads: int,
        body_limit_bytes: int,
        ended_jobs: EndedJobs,
        streams: StreamHub | None = None,
        on_startup: Callable[[], None] = lambda: None,
        on_shutdown: Callable[[], None] = lambda: None,
    ) -> None:
        self._app = app
        self._bodies = BodyReader(limit_bytes=body_limit_bytes)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="request")
        self._health_thread = ThreadPoolExecutor(1, thread_name_prefix="health")
        self._chunk_threads = ThreadPoolExecutor(_CHUNK_THREADS, thread_name_prefix="chunks")
        self._health = RecentResponses(self._check_health)
        self._queued = 0
        self._poller = JobPoller(ended_jobs)
        self._streams = streams
        self._on_startup = on_startup
        self._on_shutdown = on_shutdown

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await asyncio.to_thread(self._on_startup)
        if self._streams is not None:
            self._streams.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self._streams is not None:
            await self._streams.stop()
        await asyncio.to_thread(self._on_shutdown)
        self._threads.shutdown(wait=False)
        self._health_thread.shutdown(wait=False)
        self._chunk_threads.shutdown(wait=False)
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await self._bodies.read(receive)
        except ClientDisconnected:
            return
        except BodyRejected as rejected:
            await _send(send, _error(rejected.status, str(rejected), close=True))
            return
        try:
            if scope["method"] == "GET" and scope["raw_path"] == _HEALTH:
                response: Response | None = await self._health.get(scope)
            else:
                response = await self._respond(scope, body, receive, send)
        finally:
            self._bodies.release(body)
        if response is not None:
            await _send(send, response)

    async def _respond(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> Response | None:
        """Return the response, or None when the client has gone meanwhile or has got a stream."""
        environment = wsgi.environ(scope, body)
        waits: list[JobWait] = []
        streams: list[StreamRequest] = []
        bodies: list[ReadChunk] = []
        environment |= {WAIT_KEY: waits, STREAM_KEY: streams, BODY_KEY: bodies}
        response = await self._call(environment)
        if bodies:
            await self._send_chunks(response, bodies[0], receive, send)
            return None
        if waits:
            return await self._wait(waits[0], scope, receive)
        if streams and self._streams is not None:
            stream = EventStream(self._streams, streams[0], send)
            scope[CLOSE_KEY] = stream.close
            await stream.run(response, _disconnected(receive))
            return None
        return response

    async def _send_chunks(self, response: Response, read: ReadChunk, receive: Receive, send: Send) -> None:
        gone = asyncio.create_task(_disconnected(receive))
        try:
            await send_chunks(response, read, threads=self._chunk_threads, send=send, gone=gone)
        finally:
            gone.cancel()

    async def _wait(self, wait: JobWait, scope: Scope, receive: Receive) -> Response | None:
        """Wait until a job has ended, then answer as `GET /jobs/{id}` does."""
        ended = asyncio.create_task(self._poller.wait(wait.job_id, timeout_s=wait.timeout_s))
        gone = asyncio.create_task(_disconnected(receive))
        try:
            await asyncio.wait((ended, gone), return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                return None
            if not ended.result():
                return _still_running(wait)
        finally:
            ended.cancel()
            gone.cancel()
            wait.release()
        path = f"/jobs/{wait.job_id}"
        read = {**scope, "method": "GET", "raw_path": path.encode(), "query_string": b""}
        response = await self._call(wsgi.environ(read, b""))
        if wait.replayed:
            response.headers.append((b"idempotent-replay", b"true"))
        return response

    async def _call(self, environment: dict[str, Any]) -> Response:
        if self._queued >= MAX_QUEUED:
            return _error(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests are waiting; try again later")
        self._queued += 1
        try:
            return await self._in_thread(self._threads, environment)
        finally:
            self._queued -= 1

    async def _check_health(self, scope: Scope) -> Response:
        return await self._in_thread(self._health_thread, wsgi.environ(scope, b""))

    async def _in_thread(self, threads: ThreadPoolExecutor, environment: dict[str, Any]) -> Response:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(threads, partial(wsgi.call, self._app, environment))


async def _disconnected(receive: Receive) -> None:
    """Return when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _still_running(wait: JobWait) -> Response:
    if wait.replayed:
        message = (
            f"the request that submitted the job {wait.job_id} with this Idempotency-Key is being answered"
        )
        return _error(HTTPStatus.CONFLICT, message)
    message = f"the job {wait.job_id} has not ended within its `wait`; it keeps running"
    return _error(HTTPStatus.REQUEST_TIMEOUT, message)


def _error(status: HTTPStatus, message: str, *, close: bool = False) -> Response:
    headers: Headers = [(b"content-type", b"application/json")]
    if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.CONFLICT):
        headers.append((b"retry-after", b"1"))
    if close:
        headers.append((b"connection", b"close"))
    return Response(status, headers, json.dumps({"message": message}).encode())


async def _send(send: Send, response: Response) -> None:
    headers = response.headers
    if not any(name == b"content-length" for name, _ in headers):
        headers = [*headers, (b"content-length", str(len(response.body)).encode())]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
