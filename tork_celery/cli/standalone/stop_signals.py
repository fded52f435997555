"""Signals as data: received by a wait instead of ending the process."""

import select
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Self

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SIGNALS = (*STOP_SIGNALS, signal.SIGCHLD)  # SIGCHLD only ends a wait: a child has exited

_Handler = Callable[[int, FrameType | None], object] | int | None


class SignalReceiver:
    """While entered, stop signals and SIGCHLD do nothing but wake up `wait`. For the main thread only."""

    def __init__(self) -> None:
        self.received: list[signal.Signals] = []
        self._previous_handlers: dict[signal.Signals, _Handler] = {}
        # Python writes the number of each signal to the sender, as one byte.
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)

    def __enter__(self) -> Self:
        self._previous_handlers = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
        signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)
        self._receiver.close()
        self._sender.close()

    def wait(self, timeout_s: float | None) -> None:
        """Wait for a signal, at most `timeout_s` seconds, and add stop signals to `received`."""
        readable, _, _ = select.select([self._receiver], [], [], timeout_s)
        if readable:
            numbers = self._receiver.recv(4096)
            self.received += [signal.Signals(number) for number in numbers if number in STOP_SIGNALS]
