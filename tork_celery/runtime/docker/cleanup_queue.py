"""Background removal of containers, volumes, networks and images, so that steps do not wait for it."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import structlog

from tork_celery.domain.backoff import Backoff
from tork_celery.domain.errors import EngineFailed, EngineUnavailable, TorkError
from tork_celery.periodic_thread import survive_bugs

log = structlog.get_logger(__name__)

_BACKLOG = 64  # removals a thread; `submit` blocks above that
_CLOSE_TIMEOUT_S = 10.0
_BACKOFF = Backoff(first_s=0.2, longest_s=5.0)


class _Removal(NamedTuple):
    task_id: str
    delivery: int
    remove: Callable[[], None]


class CleanupQueue:
    """Removals that a few threads carry out, those of one delivery in the order of their submission.

    They wait for an engine that does not answer. A removal is carried out, or dropped with the warning
    `runtime.removal_dropped`: a later sweep then finds what it left.
    """

    def __init__(self, *, threads: int) -> None:
        self._threads = [_RemovalThread(f"removals {number}") for number in range(threads)]
        for thread in self._threads:
            thread.start()

    def submit(self, delivery: tuple[str, int], remove: Callable[[], None]) -> None:
        """Queue a removal. Block while the backlog of its thread is full.

        Drop it after `close`, or if the backlog is full since the engine does not answer.
        """
        thread = self._threads[hash(delivery) % len(self._threads)]
        thread.submit(_Removal(*delivery, remove))

    def close(self) -> None:
        """Carry out the queued removals, for 10 seconds at most, and drop the rest."""
        deadline = time.monotonic() + _CLOSE_TIMEOUT_S
        for thread in self._threads:
            thread.close()
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            thread.drop_backlog()


class _RemovalThread(threading.Thread):
    """One thread and its backlog. `_changed` guards the backlog and the flags."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._changed = threading.Condition()
        self._backlog: deque[_Removal] = deque()
        self._closed = False
        self._engine_away = False

    def submit(self, removal: _Removal) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._engine_away or len(self._backlog) < _BACKLOG)
            if self._closed or len(self._backlog) >= _BACKLOG:
                _log_dropped(removal)
                return
            self._backlog.append(removal)
            self._changed.notify_all()

    def close(self) -> None:
        """Accept no more removals. The thread ends with its backlog."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def drop_backlog(self) -> None:
        with self._changed:
            while self._backlog:
                _log_dropped(self._backlog.popleft())

    def run(self) -> None:
        while (removal := self._next()) is not None:
            with survive_bugs("runtime.removal_failed"):
                self._carry_out(removal)

    def _carry_out(self, removal: _Removal) -> None:
        """Remove; while the engine does not answer, try again until `close`."""
        for delay_s in _BACKOFF.delays_s():
            error = _error_of(removal)
            waits = isinstance(error, EngineUnavailable) and not isinstance(error, EngineFailed)
            if error is not None and not self._engine_away:
                log.warning("runtime.removal_failed", reason=str(error))
            with self._changed:
                self._engine_away = waits
                self._changed.notify_all()
                if not waits or self._changed.wait_for(lambda: self._closed, delay_s):
                    return

    def _next(self) -> _Removal | None:
        """Wait for a removal. None when the queue is closed and the backlog is empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._backlog)
            if not self._backlog:
                return None
            removal = self._backlog.popleft()
            self._changed.notify_all()
            return removal


def _error_of(removal: _Removal) -> Exception | None:
    try:
        removal.remove()
    except (TorkError, OSError) as error:
        return error
    return None


def _log_dropped(removal: _Removal) -> None:
    log.warning("runtime.removal_dropped", task_id=removal.task_id, delivery=removal.delivery)
