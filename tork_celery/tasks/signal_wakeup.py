"""Makes a Celery worker react to a signal at once: its wait for messages lasts up to a second."""

import signal
import socket
from typing import Any

from celery import bootsteps


class SignalWakeup(bootsteps.StartStopStep):
    """A step of the consumer, which starts anew after each lost connection."""

    requires = ("celery.worker.consumer:Connection",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)
        signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)

    def start(self, consumer: Any) -> None:
        if consumer.hub is not None:
            consumer.hub.add_reader(self._receiver, self._drain)

    def _drain(self) -> None:
        self._receiver.recv(4096)
