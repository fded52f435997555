"""The calls that wait for an answer of the engine, so that other threads can end one."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

GRACE_S = 3.0  # an engine that works has answered by then, and nothing is left half done


class _Call:
    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def end(self) -> None:
        with suppress(OSError):  # the engine has closed the connection
            self._socket.shutdown(socket.SHUT_RDWR)


class CallsInProgress:
    """The calls for whose answers threads wait, at most one for each thread. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[int, _Call] = {}
        self._ended = False

    @contextmanager
    def waiting(self, sock: socket.socket) -> Iterator[None]:
        """Register the call of this thread while it waits on `sock`."""
        thread, call = threading.get_ident(), _Call(sock)
        with self._lock:
            self._calls[thread] = call
            if self._ended:
                call.end()
        try:
            yield
        finally:
            with self._lock:
                del self._calls[thread]

    def interrupter(self) -> Callable[[], None]:
        """Return a function that ends the present call of this thread if no answer comes within GRACE_S."""
        thread = threading.get_ident()

        def interrupt() -> None:
            with self._lock:
                call = self._calls.get(thread)
            if call is not None:
                timer = threading.Timer(GRACE_S, self._end, [thread, call])
                timer.daemon = True
                timer.start()

        return interrupt

    def end_all(self) -> None:
        """End all calls, now and later."""
        with self._lock:
            self._ended = True
            for call in self._calls.values():
                call.end()

    def _end(self, thread: int, call: _Call) -> None:
        with self._lock:
            if self._calls.get(thread) is call:
                call.end()
