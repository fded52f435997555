"""Detection of a datastore server that accepts connections but answers nothing, such as a frozen one.

The kernel of a frozen server still acknowledges what it receives, so no TCP timeout helps. A slow query is no
hang: before anything is aborted, a new connection asks the server for a sign of life.
"""

import os
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import structlog
from sqlalchemy import Engine, event

from tork_celery.domain.errors import DatastoreUnavailable
from tork_celery.periodic_thread import survive_bugs

log = structlog.get_logger(__name__)

SLOW_AFTER_S = 1.5
"""A call that takes longer leads to a sign of life; together with its timeout this stays below 5 s."""
_INTERVAL_S = 0.25
_MESSAGE = "the datastore accepts connections but does not answer"


class HangDetector:
    """Watches the calls to one server. While it hangs, calls fail at once.

    `probe` asks for a sign of life by a new connection, with a short timeout; it raises without one.
    """

    def __init__(self, engine: Engine, probe: Callable[[], None]) -> None:
        self._probe = probe
        self._lock = threading.Condition()
        self._calls: dict[object, float] = {}
        self._hangs = False
        self._judging = False
        self._connections: weakref.WeakSet[Any] = weakref.WeakSet()
        event.listen(engine, "connect", lambda connection, _record: self._connections.add(connection))
        event.listen(engine, "do_connect", self._before_connect)
        threading.Thread(target=self._watch, name="hang-detector", daemon=True).start()

    @contextmanager
    def call(self) -> Iterator[None]:
        """Run a block that calls the server. Raises DatastoreUnavailable at once while the server hangs.

        While a slow server is asked for a sign of life, further calls wait for the judgement. They would
        otherwise spend the time limit of a new connection, and requests that wait for their threads too.
        """
        token = object()
        with self._lock:
            self._lock.wait_for(lambda: self._hangs or not self._judging)
            if self._hangs:
                raise DatastoreUnavailable(_MESSAGE)
            self._calls[token] = time.monotonic()
            self._lock.notify_all()
        try:
            yield
        finally:
            with self._lock:
                del self._calls[token]

    def _before_connect(self, *_: object) -> None:
        """Keep a call whose connection was aborted from waiting for a new one."""
        if self._hangs:
            raise DatastoreUnavailable(_MESSAGE)

    def _watch(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._calls or self._hangs)
            time.sleep(_INTERVAL_S)
            with survive_bugs("datastore.hang_detection_failed"):
                if self._hangs or self._is_slow():
                    self._judge()

    def _is_slow(self) -> bool:
        with self._lock:
            oldest = min(self._calls.values(), default=None)
        return oldest is not None and time.monotonic() - oldest > SLOW_AFTER_S

    def _judge(self) -> None:
        with self._lock:
            self._judging = True
        hung = False
        try:
            hung = not self._lives()
        finally:
            with self._lock:
                self._hangs, self._judging = hung, False
                self._lock.notify_all()
        if hung:
            self._abort_connections()

    def _lives(self) -> bool:
        try:
            self._probe()
        except Exception:  # noqa: BLE001  whatever a driver raises, the server gave no sign of life
            return False
        return True

    def _abort_connections(self) -> None:
        """End the waiting of all threads: their connections are closed on this side."""
        for connection in list(self._connections):
            with suppress(OSError, ValueError), socket.socket(fileno=os.dup(connection.fileno())) as end:
                end.shutdown(socket.SHUT_RDWR)
