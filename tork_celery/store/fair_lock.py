"""A lock whose waiting threads get it in the order in which they asked."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from tork_celery.domain.errors import DatastoreUnavailable


class FairLock:
    """One holder at a time, first come, first served. A wait is limited to `timeout_s` seconds."""

    def __init__(self, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._waiting = deque[threading.Lock]()
        self._is_held = False

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the lock for a block. Raises DatastoreUnavailable after a wait of `timeout_s` seconds."""
        self._acquire()
        try:
            yield
        finally:
            self._release()

    def _acquire(self) -> None:
        with self._lock:
            if not self._is_held:
                self._is_held = True
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        if not turn.acquire(timeout=self._timeout_s):
            self._give_up(turn)

    def _give_up(self, turn: threading.Lock) -> None:
        with self._lock:
            if turn not in self._waiting:  # the lock was handed over in the meantime
                return
            self._waiting.remove(turn)
        raise DatastoreUnavailable(
            f"other transactions of this process have kept the datastore busy for {self._timeout_s:g} s"
        )

    def _release(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_held = False
