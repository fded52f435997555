"""Runs processes of its own: restarts what dies, and leaves nothing behind."""

import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tork_celery import child_processes

_FIRST_DELAY_S = 0.1
_LONGEST_DELAY_S = 10.0
_STABLE_AFTER_S = 30.0  # a process that ran for so long starts again without delay
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)


@dataclass(slots=True, kw_only=True)
class Service:
    """One process to be kept running. `stop_signals` maps the signal that ends the supervisor to the one that
    this process is sent for it."""

    name: str
    command: Sequence[str]
    stop_signals: Mapping[signal.Signals, signal.Signals] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float | None = None
    delay_s: float = _FIRST_DELAY_S

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Supervisor:
    """Keeps services running until it is told to stop. To be used in the main thread."""

    def __init__(
        self, environment: Mapping[str, str], say: Callable[[str], None], *, stop_within_s: float = 15.0
    ) -> None:
        self._stop_within_s = stop_within_s
        self._environment = environment
        self._say = say
        self._services: list[Service] = []
        self._received: list[signal.Signals] = []
        self._receiver, self._sender = socket.socketpair()  # a signal's number is a byte in it
        self._receiver.setblocking(False)
        self._sender.setblocking(False)

    @contextmanager
    def attentive(self) -> Iterator[None]:
        """Within this, signals are taken in by `wait` instead of ending the process; at its end nothing that
        was started still runs."""
        earlier = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
        signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            self._kill_all()
            signal.set_wakeup_fd(-1)
            for number, handler in earlier.items():
                signal.signal(number, handler)
            self._receiver.close()
            self._sender.close()

    def start(self, service: Service) -> None:
        self._services.append(service)
        self._spawn(service)

    def wait(self, condition: Callable[[], bool], *, within_s: float, every_s: float = 0.05) -> bool:
        """Keep services running until the condition holds; False when it does not in time, or on a signal
        to stop."""
        deadline = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > deadline or self.stop_signal is not None:
                return False
            self._attend(every_s)
        return True

    def run(self) -> signal.Signals:
        """Keep services running until a signal to stop comes; that signal."""
        while self.stop_signal is None:
            self._attend(None)
        return self.stop_signal

    @property
    def stop_signal(self) -> signal.Signals | None:
        """The first signal to stop that was received."""
        return self._received[0] if self._received else None

    def stop(self) -> None:
        """End all services as the received signal says, the last started first but all that can end at once
        together. A second signal, or too long a wait, kills them."""
        why = self.stop_signal or signal.SIGTERM
        first, *others = self._services
        for batch in (others, [first]):
            for service in batch:
                if service.process is not None and service.running:
                    service.process.send_signal(service.stop_signals.get(why, signal.SIGTERM))
            self._await_end(batch)

    def _await_end(self, batch: Sequence[Service]) -> None:
        deadline = time.monotonic() + self._stop_within_s
        while any(service.running for service in batch):
            if len(self._received) > 1 or time.monotonic() > deadline:
                self._say("stopping at once")
                self._kill_all()
                return
            self._take_signals(0.2)

    def _attend(self, timeout_s: float | None) -> None:
        """Start what is due, note what has ended, wait for a signal at most so long."""
        now = time.monotonic()
        for service in self._services:
            if service.start_at is None and not service.running:
                self._schedule(service, now)
            if service.start_at is not None and service.start_at <= now:
                self._spawn(service)
        due = [service.start_at - now for service in self._services if service.start_at is not None]
        if timeout_s is not None:
            due.append(timeout_s)
        self._take_signals(max(0.0, min(due)) if due else None)

    def _schedule(self, service: Service, now: float) -> None:
        if now - service.started_at > _STABLE_AFTER_S:
            service.delay_s = _FIRST_DELAY_S
        service.start_at = now + service.delay_s
        self._say(f"{service.name} {_ended(service)}; it starts again in {service.delay_s:g} s")
        service.delay_s = min(2 * service.delay_s, _LONGEST_DELAY_S)

    def _spawn(self, service: Service) -> None:
        service.process = subprocess.Popen(  # noqa: S603  commands of our own
            service.command,
            env=dict(self._environment),
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # a terminal's Ctrl-C is for the supervisor to pass on
            preexec_fn=child_processes.die_with_parent,  # noqa: PLW1509  the supervisor has one thread
        )
        service.started_at = time.monotonic()
        service.start_at = None

    def _take_signals(self, timeout_s: float | None) -> None:
        readable, _, _ = select.select([self._receiver], [], [], timeout_s)
        if readable:
            stopping = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
            self._received += [signal.Signals(n) for n in self._receiver.recv(4096) if n in stopping]

    def _kill_all(self) -> None:
        for service in self._services:
            if service.process is not None and service.running:
                service.process.kill()
        for service in self._services:
            if service.process is not None:
                service.process.wait()


def _ended(service: Service) -> str:
    code = service.process.returncode if service.process else 0
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with the code {code}"
