"""Removing things behind the back of the steps, which do not wait for it."""

import threading
import time
from collections.abc import Callable
from queue import Full, Queue

import structlog

from tork_celery.domain.errors import TorkError
from tork_celery.periodic_thread import survive_bugs

log = structlog.get_logger(__name__)

_BACKLOG = 64
_CLOSING_S = 10.0


class CleanupQueue:
    """A few threads. What concerns one delivery is done in the order in which it was asked for; who asks
    faster than the engine removes waits. After `close`, nothing is removed: that is left to a later sweep."""

    def __init__(self, *, threads: int) -> None:
        self._queues: list[Queue[Callable[[], None] | None]] = [Queue(_BACKLOG) for _ in range(threads)]
        self._threads = [
            threading.Thread(target=_work, args=[queue], name=f"removals {number}", daemon=True)
            for number, queue in enumerate(self._queues)
        ]
        self._closed = False
        for thread in self._threads:
            thread.start()

    def submit(self, delivery: tuple[str, int], removal: Callable[[], None]) -> None:
        if self._closed:
            log.warning("runtime.removal_came_too_late", task_id=delivery[0], delivery=delivery[1])
            return
        self._queues[hash(delivery) % len(self._queues)].put(removal)

    def close(self) -> None:
        """Finish what was asked for. What an engine that hangs does not let go stays for a later sweep."""
        self._closed = True
        end = time.monotonic() + _CLOSING_S
        for queue, thread in zip(self._queues, self._threads, strict=True):
            try:
                queue.put(None, timeout=max(0.0, end - time.monotonic()))
            except Full:
                continue
            thread.join(max(0.0, end - time.monotonic()))


def _work(queue: Queue[Callable[[], None] | None]) -> None:
    while (removal := queue.get()) is not None:
        with survive_bugs("runtime.removal_failed"):
            try:
                removal()
            except (TorkError, OSError) as error:
                log.warning("runtime.removal_failed", reason=str(error))
