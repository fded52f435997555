"""A supervisor of child processes: restarts those that die, and leaves none behind."""

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from tork_celery.cli.standalone.stop_signals import SignalReceiver
from tork_celery.cli.standalone.supervised_process import Service, SupervisedProcess

_POLL_S = 0.2  # how often a stop looks whether processes have ended


class Supervisor:
    """Keeps services running until it receives a signal to stop. For the main thread only.

    A context manager: inside, signals do not end this process; on exit, all children are killed. `report`
    receives one line for each exit of a child. Children inherit `environment`.
    """

    def __init__(
        self, environment: Mapping[str, str], report: Callable[[str], None], *, stop_within_s: float = 15.0
    ) -> None:
        self._environment = environment
        self._report = report
        self._stop_within_s = stop_within_s
        self._children: list[SupervisedProcess] = []
        self._signals = SignalReceiver()

    def __enter__(self) -> Self:
        self._signals.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._kill_all()
        self._signals.__exit__()

    def start(self, service: Service) -> SupervisedProcess:
        child = SupervisedProcess(service, self._environment)
        self._children.append(child)
        return child

    def wait(self, condition: Callable[[], bool], *, within_s: float, every_s: float = 0.05) -> bool:
        """Keep services running until the condition holds. Return False after `within_s` seconds or when a
        signal to stop arrives."""
        deadline = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > deadline or self.stop_signal is not None:
                return False
            self._restart_due_children(every_s)
        return True

    def run(self) -> signal.Signals:
        """Keep services running until a signal to stop arrives; return that signal."""
        while self.stop_signal is None:
            self._restart_due_children(None)
        return self.stop_signal

    @property
    def stop_signal(self) -> signal.Signals | None:
        """The first signal to stop that was received."""
        return self._signals.received[0] if self._signals.received else None

    def stop(self) -> None:
        """Stop all children: the one that was started first last, the others before it, all at once.

        A second signal, or a child that does not end within `stop_within_s`, kills those that still run.
        """
        received = self.stop_signal or signal.SIGTERM
        first, *others = self._children
        for batch in (others, [first]):
            for child in batch:
                child.stop(received)
            self._wait_for_end(batch)

    def _wait_for_end(self, batch: Sequence[SupervisedProcess]) -> None:
        deadline = time.monotonic() + self._stop_within_s
        while any(child.running for child in batch):
            if len(self._signals.received) > 1 or time.monotonic() > deadline:
                self._report("killing the processes that still run")
                self._kill_all()
                return
            self._signals.wait(_POLL_S)

    def _restart_due_children(self, timeout_s: float | None) -> None:
        """Restart children whose delay is over, schedule a restart of those that ended, then wait for a
        signal or the next restart, at most `timeout_s` seconds."""
        now = time.monotonic()
        for child in self._children:
            if child.restart_at is None and not child.running:
                delay_s = child.schedule_restart(now)
                self._report(f"{child.service.name} {child.describe_exit()}; restarting in {delay_s:g} s")
            if child.restart_at is not None and child.restart_at <= now:
                child.restart()
        waits_s = [child.restart_at - now for child in self._children if child.restart_at is not None]
        if timeout_s is not None:
            waits_s.append(timeout_s)
        self._signals.wait(max(0.0, min(waits_s)) if waits_s else None)

    def _kill_all(self) -> None:
        for child in self._children:
            child.kill()
        for child in self._children:
            child.wait()
