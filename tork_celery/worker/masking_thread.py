"""The thread that masks the output of a step, beside the one that drains its container."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from tork_celery.runtime.protocol import Detached, Stream
from tork_celery.worker.active_steps import ActiveStep

QUEUE_BYTES = 1024 * 1024
"""The sink waits while more than this is queued."""

_BATCH_BYTES = 64 * 1024
_POLL_S = 0.1  # a step is stopped without a notification
_DROPPED = "a part of the output is missing: it came faster than it could be masked when the step was stopped"

_JOINED_WITHIN_S = 0.005  # lines that arrive in this time may get the same time in the log

Ship = Callable[[Sequence[ActiveStep]], bool]
"""Stores the output of steps. Returns False when the datastore does not take it."""


class _Chunk(NamedTuple):
    """Output that arrived at one time, in seconds of the monotonic clock."""

    stream: Stream
    data: bytes
    arrived_s: float


class MaskingThread:
    """A sink for one run of a step, which queues the output for a thread that masks and buffers it.

    Draining the container waits neither for masking nor for the datastore, unless the queue is full. A step
    that is stopped, and a worker that stops, do not wait even then. As a context manager it ends the thread
    when all output is masked; after Detached it drops the rest, which another process reads again.
    """

    def __init__(self, step: ActiveStep, *, ship: Ship, stopping: threading.Event) -> None:
        self._step = step
        self._ship = ship
        self._stopping = stopping
        self._changed = threading.Condition()
        self._queue: deque[_Chunk] = deque()
        self._queued_bytes = 0
        self._closing = False
        self._dropped = False
        self._bug: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"masking-{step.ref}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        with self._changed:
            self._closing = True
            if isinstance(error, Detached):
                self._queue.clear()
            self._changed.notify_all()
        self._thread.join()
        if self._bug is not None and error is None:
            raise self._bug
        if self._dropped and not isinstance(error, Detached):
            self._step.output.note(_DROPPED)

    def __call__(self, stream: Stream, data: bytes, /) -> None:
        with self._changed:
            while self._queued_bytes > QUEUE_BYTES:
                if self._bug is not None:
                    raise self._bug
                if self._is_stopped():
                    self._dropped = True
                    return
                self._changed.wait(_POLL_S)
            self._queue.append(_Chunk(stream, data, time.monotonic()))
            self._queued_bytes += len(data)
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            while batch := self._next_batch():
                for stream, data, arrived_s in batch:
                    self._step.output(stream, data, arrived_s=arrived_s)
                self._make_room()
        except BaseException as bug:  # noqa: BLE001  the thread of the step raises it
            with self._changed:
                self._bug = bug
                self._changed.notify_all()

    def _next_batch(self) -> list[_Chunk]:
        """Wait for output and return chunks of it, joined where they are alike. Empty at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            batch, size = list[_Chunk](), 0
            while self._queue and size < _BATCH_BYTES:
                batch.append(self._queue.popleft())
                size += len(batch[-1].data)
            self._queued_bytes -= size
            self._changed.notify_all()
        return list(_joined(batch))

    def _make_room(self) -> None:
        """Store the output until its buffer has room, unless nothing may wait for that."""
        while self._step.output.full and not self._closing and not self._is_stopped():
            if not self._ship([self._step]):
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, _POLL_S)

    def _is_stopped(self) -> bool:
        return self._step.stop_reason is not None or self._stopping.is_set()


def _joined(chunks: Sequence[_Chunk]) -> Iterator[_Chunk]:
    """Join adjacent chunks of one stream that arrived at nearly the same time, the time of the first."""
    start = 0
    for end in range(1, len(chunks) + 1):
        first = chunks[start]
        if end < len(chunks) and _arrived_together(first, chunks[end]):
            continue
        yield first._replace(data=b"".join(chunk.data for chunk in chunks[start:end]))
        start = end


def _arrived_together(first: _Chunk, other: _Chunk) -> bool:
    return other.stream is first.stream and other.arrived_s - first.arrived_s < _JOINED_WITHIN_S
