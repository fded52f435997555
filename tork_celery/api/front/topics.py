"""The topics of a stream: which events are next. Runs on one event loop."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Protocol

from tork_celery.api.front.hub import LogBuffer, StreamHub
from tork_celery.domain.streams import ENDED, LogCursor, Position, TopicKind
from tork_celery.domain.user import User
from tork_celery.services.streams.batches import Batch
from tork_celery.services.streams.logs import read_events
from tork_celery.services.streams.states import Event, State, event
from tork_celery.services.streams.subscriptions import Subscription

_MAX_PENDING = 1_000
_MAX_PENDING_BYTES = 4 * 1024 * 1024

Placed = tuple[Event, Position | None]
"""An event, and the position of its topic after it. None: a client that resumes there begins anew."""


class TopicStream(Protocol):
    """A topic of a stream."""

    subscription: Subscription
    position: Position | None

    def accept(self, batch: Batch) -> None:
        """Take what concerns the topic from a batch."""

    async def next(self) -> Sequence[Placed]:
        """Return the events that are next, if any. Raises DatastoreUnavailable."""

    def close(self) -> None:
        """Follow the topic no longer."""

    def revoke(self) -> None:
        """End the topic."""


def end_event(subscription: Subscription) -> Event:
    return event("end", {"topic": str(subscription.topic)})


def reset_event(subscription: Subscription) -> Event:
    return event("reset", {"topic": str(subscription.topic)})


class StateTopic:
    """`jobs`, or `job:ID`: the last state of each job and task.

    What has changed waits here, the newest state of each job and task only. If it is too much, the client
    reads too slowly: it gets `reset` and the whole state later.
    """

    def __init__(
        self,
        hub: StreamHub,
        subscription: Subscription,
        viewer: User | None,
        *,
        position: int | None,
        resumes: bool,
    ) -> None:
        """With `resumes`, a client that has no `position` here gets `reset` first."""
        self.subscription = subscription
        self.position: Position | None = position
        self._hub = hub
        self._viewer = viewer
        self._since = position
        self._resets = resumes and position is None
        self._reads = 1  # reads of the state that are due; more than one if it is outdated already
        self._end = False
        self._pending: dict[str, tuple[float, Event]] = {}
        self._pending_bytes = 0
        self._next_position = 0

    def accept(self, batch: Batch) -> None:
        if batch.lost:
            self._read_anew()
            return
        for key, each in self._events(batch).items():
            if (old := self._pending.pop(key, None)) is not None:
                self._pending_bytes -= len(old[1].data)
            self._pending[key] = batch.read_at, each
            self._pending_bytes += len(each.data)
        self._next_position = batch.position
        if self.subscription.topic.kind is TopicKind.JOB and self.subscription.job_id in batch.ended_jobs:
            self._end = True
        if len(self._pending) > _MAX_PENDING or self._pending_bytes > _MAX_PENDING_BYTES:
            self._read_anew()

    async def next(self) -> Sequence[Placed]:
        events, after = await self._read() if self._reads else self._take()
        before, self.position = self.position, after
        placed: list[Placed] = [(each, before) for each in events[:-1]]
        placed += [(each, after) for each in events[-1:]]
        return [*placed, (end_event(self.subscription), ENDED)] if self._end else placed

    def revoke(self) -> None:
        self._pending.clear()
        self._reads, self._end = 0, True

    def close(self) -> None:
        self._pending.clear()

    def _events(self, batch: Batch) -> Mapping[str, Event]:
        job_id = self.subscription.job_id
        if self.subscription.topic.kind is TopicKind.JOB:
            own = {job_id: batch.jobs[job_id]} if job_id in batch.jobs else {}
            return {**own, **batch.tasks.get(job_id, {})}
        if self._viewer is None or self._viewer.username not in batch.visible:
            return batch.jobs
        visible = batch.visible[self._viewer.username]
        return {key: each for key, each in batch.jobs.items() if key in visible}

    def _take(self) -> tuple[list[Event], int]:
        taken = [each for _, each in self._pending.values()]
        self._pending, self._pending_bytes = {}, 0
        return taken, self._next_position

    async def _read(self) -> tuple[list[Event], int]:
        await self._hub.ready()
        position, started, reads = self._hub.position, time.monotonic(), self._reads
        state = await self._hub.read(self._reader())
        if not state.kept:
            self._resets, self.position = True, None
        events = [reset_event(self.subscription)] if self._resets else []
        self._resets, self._since = self._reads > reads, None
        self._reads -= reads
        self._end = self._end or state.end
        # What was read before the state is part of it.
        self._pending = {key: each for key, each in self._pending.items() if each[0] >= started}
        self._pending_bytes = sum(len(each.data) for _, each in self._pending.values())
        self._next_position = max(position, self._next_position)
        return [*events, *state.events.values()], position

    def _reader(self) -> "partial[State]":
        if self.subscription.topic.kind is TopicKind.JOBS:
            return partial(self._hub.states.jobs, self._viewer, self._since)
        return partial(self._hub.states.job, self.subscription.job_id, self._since)

    def _read_anew(self) -> None:
        self._pending, self._pending_bytes = {}, 0
        self._reads += 1
        self._resets, self._since, self.position = True, None, None


class LogTopic:
    """`log:TASK_ID`: the parts of the log of a task, each once and in order."""

    def __init__(
        self,
        hub: StreamHub,
        subscription: Subscription,
        *,
        position: LogCursor | None,
        resumes: bool,
        tail: int | None,
    ) -> None:
        """With `resumes`, a client that has no `position` here gets `reset` first. `tail` is the number of
        last lines to begin with."""
        self.subscription = subscription
        self.position: Position | None = position
        self._hub = hub
        self._resumes = resumes
        self._tail = tail
        self._cursor: LogCursor | None = None
        self._skip = 0
        self._buffer: LogBuffer | None = None
        self._revoked = False

    def accept(self, batch: Batch) -> None:
        """Do nothing: the hub has put the new parts into the buffer."""

    async def next(self) -> Sequence[Placed]:
        if self._revoked:
            return self._placed([], end=True)
        if self._cursor is None:
            known = self.position
            self._cursor, self._skip = await self._begin()
            if self._resumes and self._cursor != known:
                self.position = self._cursor
                return [(reset_event(self.subscription), self._cursor)]
        return await self._next(self._cursor)

    def revoke(self) -> None:
        self._revoked = True

    def close(self) -> None:
        if self._buffer is not None:
            self._hub.unfollow_log(self._buffer)
            self._buffer = None

    async def _begin(self) -> tuple[LogCursor, int]:
        logs, first_id = self._hub.logs, self.subscription.first_id
        known = self.position if isinstance(self.position, LogCursor) else None
        return await self._hub.read(partial(logs.begin, first_id, known, tail=self._tail))

    async def _next(self, cursor: LogCursor) -> Sequence[Placed]:
        """Return parts of the buffer or, as long as the stream is behind it, of the datastore."""
        while True:
            if self._buffer is not None and (parts := self._buffer.after(cursor)) is not None:
                return self._placed(parts, end=not parts and self._buffer.end)
            read = partial(read_events, self._hub.logs, self.subscription.first_id, cursor, self._skip)
            chunk, stored = await self._hub.read(read)
            self._skip = 0
            cursor = self._cursor = chunk.cursor
            if stored or chunk.end:
                return self._placed(stored, end=chunk.end)
            if self._buffer is None:
                self._buffer = self._hub.follow_log(self.subscription, cursor)

    def _placed(self, parts: Sequence[tuple[LogCursor, Event]], *, end: bool = False) -> list[Placed]:
        if parts:
            self._cursor = self.position = parts[-1][0]
        placed: list[Placed] = [(each, cursor) for cursor, each in parts]
        return [*placed, (end_event(self.subscription), ENDED)] if end else placed
