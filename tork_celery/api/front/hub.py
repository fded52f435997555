"""Connects the streams of a process with the thread that reads changes. Runs on one event loop."""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from tork_celery.domain.streams import LogCursor, TopicKind
from tork_celery.domain.user import User
from tork_celery.services.streams.batches import Batch, Followed, FollowedLog, LogNews
from tork_celery.services.streams.logs import LogReader
from tork_celery.services.streams.states import Event, StateReader
from tork_celery.services.streams.subscriptions import Subscription
from tork_celery.services.streams.tail import Tail

T = TypeVar("T")

_THREADS = 2
_MAX_BUFFERED_BYTES = 1024 * 1024


class Follower(Protocol):
    """A stream, as the hub sees it."""

    viewer: User | None

    @property
    def subscriptions(self) -> Sequence[Subscription]:
        """The topics that have not ended."""

    def accept(self, batch: Batch) -> None:
        """Take what concerns the stream, and wake it up."""


class LogBuffer:
    """The newest parts of a log, which streams share. It holds up to 1 MiB, and at least one part."""

    def __init__(self, followed: FollowedLog) -> None:
        self.followed = followed
        self.followers = 0
        self.end = False
        self._start = followed.start
        self._parts: deque[tuple[LogCursor, Event]] = deque()
        self._size_bytes = 0

    def add(self, news: LogNews) -> None:
        for part in news.parts:
            self._parts.append(part)
            self._size_bytes += len(part[1].data)
        while self._size_bytes > _MAX_BUFFERED_BYTES and len(self._parts) > 1:
            self._start, dropped = self._parts.popleft()
            self._size_bytes -= len(dropped.data)
        self.end = news.end

    def after(self, cursor: LogCursor) -> list[tuple[LogCursor, Event]] | None:
        """Return the parts after a position; None if some of them are no longer here."""
        if cursor < self._start:
            return None
        return [part for part in self._parts if part[0] > cursor]


class StreamHub:
    """Tells the tail what the streams follow, and the streams what has changed.

    Reads of the datastore for single streams, which are those at their beginning or behind, take turns in two
    threads.
    """

    def __init__(self, tail: Tail, *, states: StateReader, logs: LogReader) -> None:
        self.states = states
        self.logs = logs
        self.tail = tail
        self.position = 0
        self._ready = asyncio.Event()
        self._followers: dict[int, Follower] = {}
        self._buffers: dict[str, LogBuffer] = {}
        self._numbers = itertools.count(1)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="stream")

    def start(self) -> None:
        """Start the tail. Call this on the event loop."""
        loop = asyncio.get_running_loop()
        self.tail.start(lambda batch: loop.call_soon_threadsafe(self._apply, batch))

    async def stop(self) -> None:
        await asyncio.to_thread(self.tail.stop)
        self._threads.shutdown(wait=False)

    def add(self, follower: Follower) -> None:
        self._followers[id(follower)] = follower
        self.update()

    def remove(self, follower: Follower) -> None:
        del self._followers[id(follower)]
        self.update()
        if not self._followers:
            self._ready.clear()

    def update(self) -> None:
        """Tell the tail what is followed. Call this after topics have ended."""
        self.tail.follow(self._followed())

    async def ready(self) -> None:
        """Wait until changes are being read: state that is read afterwards misses none."""
        await self._ready.wait()

    async def read(self, action: Callable[[], T]) -> T:
        """Run an action that reads the datastore in one of the threads of all streams."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, action)

    def log_buffer(self, first_id: str) -> LogBuffer | None:
        return self._buffers.get(first_id)

    def follow_log(self, subscription: Subscription, cursor: LogCursor) -> LogBuffer:
        """Follow a log, from a position on if nobody follows it yet. `unfollow_log` ends this."""
        buffer = self._buffers.get(subscription.first_id)
        if buffer is None:
            followed = FollowedLog(
                number=next(self._numbers),
                first_id=subscription.first_id,
                job_id=subscription.job_id,
                start=cursor,
            )
            buffer = self._buffers[subscription.first_id] = LogBuffer(followed)
            self.update()
        buffer.followers += 1
        return buffer

    def unfollow_log(self, buffer: LogBuffer) -> None:
        buffer.followers -= 1
        if not buffer.followers:
            del self._buffers[buffer.followed.first_id]
            self.update()

    def _apply(self, batch: Batch) -> None:
        self.position = batch.position
        for buffer in self._buffers.values():
            if (news := batch.logs.get(buffer.followed.number)) is not None:
                buffer.add(news)
        for follower in tuple(self._followers.values()):
            follower.accept(batch)
        if self._followers:
            self._ready.set()

    def _followed(self) -> Followed:
        every = [(each.viewer, topic) for each in self._followers.values() for topic in each.subscriptions]
        jobs_by_user: dict[str, set[str]] = {}
        for viewer, subscription in every:
            if viewer is not None:
                followed = jobs_by_user.setdefault(viewer.username, set())
                followed.update({subscription.job_id} - {""})
        lists = [viewer for viewer, each in every if each.topic.kind is TopicKind.JOBS]
        return Followed(
            all_jobs=bool(lists),
            job_ids=frozenset(each.job_id for _, each in every if each.topic.kind is TopicKind.JOB),
            logs=tuple(buffer.followed for buffer in self._buffers.values()),
            viewers={each.username: each for each in lists if each is not None and not each.is_admin},
            jobs_by_user={name: frozenset(ids) for name, ids in jobs_by_user.items()},
        )
