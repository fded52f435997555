"""Streams of events (server-sent events), as coroutines on the event loop.

The view of `/events` leaves a `StreamRequest` in its WSGI environment, under `STREAM_KEY`. The front then
keeps the connection and sends events, without a thread, until all topics have ended.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from tork_celery.api.front.hub import StreamHub
from tork_celery.api.front.topics import LogTopic, Placed, StateTopic, TopicStream
from tork_celery.api.front.wsgi import Response
from tork_celery.domain.errors import Unavailable
from tork_celery.domain.streams import ENDED, LogCursor, Position, Topic, TopicKind, encode_positions
from tork_celery.domain.user import User
from tork_celery.services.streams.batches import Batch
from tork_celery.services.streams.states import Event
from tork_celery.services.streams.subscriptions import Subscription

log = structlog.get_logger(__name__)

STREAM_KEY = "tork.stream"
CLOSE_KEY = "tork.close"
"""Key of an ASGI scope: what the server calls to close the response when it shuts down."""
COMMENT_INTERVAL_S = 15.0
_RETRY_S = 1.0
_MAX_CHUNK_BYTES = 64 * 1024

Send = Callable[[Any], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRequest:
    """A request for a stream. `release` frees its seat.

    `positions` are those of the id with which a client resumes; None for a new stream. `tail` is the number
    of last lines with which new logs begin.
    """

    subscriptions: Sequence[Subscription]
    viewer: User | None
    positions: Mapping[Topic, Position] | None
    tail: int | None
    release: Callable[[], None]


class EventStream:
    """The stream of one request."""

    def __init__(self, hub: StreamHub, request: StreamRequest, send: Send) -> None:
        self.viewer = request.viewer
        self._hub = hub
        self._send = send
        self._release = request.release
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._sending = asyncio.Lock()
        self._topics: dict[Topic, TopicStream] = {}
        self._positions: dict[Topic, Position] = dict(request.positions or {})
        for each in request.subscriptions:
            self._topics[each.topic] = self._topic(each, request)

    @property
    def subscriptions(self) -> Sequence[Subscription]:
        return [each.subscription for each in self._topics.values()]

    def accept(self, batch: Batch) -> None:
        for topic in self._topics.values():
            if batch.rights and not batch.rights.allow(self.viewer, topic.subscription.job_id):
                topic.revoke()
            topic.accept(batch)
        self._wake.set()

    def close(self) -> None:
        """End the stream at once. The client may resume it in another process."""
        self._closing.set()

    async def run(self, head: Response, disconnected: Coroutine[Any, Any, None]) -> None:
        """Send the head of a response, and events until the last topic has ended, or the stream is closed, or
        the client has gone."""
        ways_to_end = [
            asyncio.create_task(each)
            for each in (self._send_events(), self._send_comments(), self._closing.wait(), disconnected)
        ]
        self._hub.add(self)
        try:
            headers = [each for each in head.headers if each[0] != b"content-length"]
            await self._send({"type": "http.response.start", "status": head.status, "headers": headers})
            ended, _ = await asyncio.wait(ways_to_end, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
            await self._send({"type": "http.response.body", "body": b""})
        finally:
            for task in ways_to_end:
                task.cancel()
            for topic in self._topics.values():
                topic.close()
            self._hub.remove(self)
            self._release()

    async def _send_events(self) -> None:
        while self._topics:
            self._wake.clear()
            sent, timeout_s = False, None
            for topic in tuple(self._topics.values()):
                try:
                    events = await topic.next()
                except Unavailable:
                    timeout_s = _RETRY_S
                else:
                    sent = sent or bool(events)
                    async with self._sending:
                        await self._send_placed(topic, events)
            if not sent:
                await self._sleep(timeout_s)

    async def _send_placed(self, topic: TopicStream, events: Sequence[Placed]) -> None:
        chunk = bytearray()
        for event, position in events:
            self._set_position(topic, position)
            chunk += self._encode(event)
            if len(chunk) >= _MAX_CHUNK_BYTES:
                await self._send_body(chunk)
                chunk = bytearray()
        if chunk:
            await self._send_body(chunk)
        if not events and topic.position is not None:
            self._set_position(topic, topic.position)

    def _set_position(self, topic: TopicStream, position: Position | None) -> None:
        key = topic.subscription.topic
        if position is None:
            self._positions.pop(key, None)
        else:
            self._positions[key] = position
        if position == ENDED:
            del self._topics[key]
            topic.close()
            self._hub.update()

    async def _send_comments(self) -> None:
        """Keep the connection alive, and tell the client a newer position."""
        while True:
            await asyncio.sleep(COMMENT_INTERVAL_S)
            async with self._sending:  # an id must not overtake its events
                await self._send_body(f":\nid: {encode_positions(self._positions)}\n\n".encode())

    async def _send_body(self, body: bytes | bytearray) -> None:
        await self._send({"type": "http.response.body", "body": bytes(body), "more_body": True})

    async def _sleep(self, timeout_s: float | None) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        except TimeoutError:
            return

    def _encode(self, event: Event) -> bytes:
        head = f"event: {event.name}\nid: {encode_positions(self._positions)}\ndata: "
        return head.encode() + event.data + b"\n\n"

    def _topic(self, subscription: Subscription, request: StreamRequest) -> TopicStream:
        position = self._positions.get(subscription.topic)
        resumes = request.positions is not None
        if subscription.topic.kind is TopicKind.LOG:
            cursor = position if isinstance(position, LogCursor) else None
            return LogTopic(self._hub, subscription, position=cursor, resumes=resumes, tail=request.tail)
        seq = position if isinstance(position, int) else None
        return StateTopic(self._hub, subscription, request.viewer, position=seq, resumes=resumes)
