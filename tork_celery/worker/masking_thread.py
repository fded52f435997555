"""The thread that masks the output of a step, beside the one that drains its container."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from tork_celery.runtime.protocol import Detached, Stream
from tork_celery.worker.active_steps import ActiveStep

QUEUE_BYTES = 1024 * 1024
"""The sink waits while more than this is queued."""

_BATCH_BYTES = 64 * 1024
_POLL_S = 0.1  # a step is stopped without a notification
_DROPPED = "a part of the output is missing: it came faster than it could be masked when the step was stopped"

Ship = Callable[[Sequence[ActiveStep]], bool]
"""Stores the output of steps. Returns False when the datastore does not take it."""


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
        self._queue: deque[tuple[Stream, bytes]] = deque()
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
            self._queue.append((stream, data))
            self._queued_bytes += len(data)
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            while batch := self._next_batch():
                for stream, data in batch:
                    self._step.output(stream, data)
                self._make_room()
        except BaseException as bug:  # noqa: BLE001  the thread of the step raises it
            with self._changed:
                self._bug = bug
                self._changed.notify_all()

    def _next_batch(self) -> list[tuple[Stream, bytes]]:
        """Wait for output and return pieces of it, joined where they are of one stream. Empty at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            batch, size = list[tuple[Stream, list[bytes]]](), 0
            while self._queue and size < _BATCH_BYTES:
                stream, data = self._queue.popleft()
                size += len(data)
                if batch and batch[-1][0] is stream:
                    batch[-1][1].append(data)
                else:
                    batch.append((stream, [data]))
            self._queued_bytes -= size
            self._changed.notify_all()
        return [(stream, b"".join(pieces)) for stream, pieces in batch]

    def _make_room(self) -> None:
        """Store the output until its buffer has room, unless nothing may wait for that."""
        while self._step.output.full and not self._closing and not self._is_stopped():
            if not self._ship([self._step]):
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, _POLL_S)

    def _is_stopped(self) -> bool:
        return self._step.stop_reason is not None or self._stopping.is_set()
