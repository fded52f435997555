"""A child process of the supervisor and its restart policy."""

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tork_celery import child_processes
from tork_celery.domain.backoff import Backoff

_BACKOFF = Backoff(first_s=0.1, longest_s=10.0)
_STABLE_AFTER_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A command to keep running.

    `stop_signals` maps a signal that stops the supervisor to the signal that stops this service; the default
    is SIGTERM. `umask` is that of the process, -1 for the supervisor's own. `environment` has further
    variables of the process.
    """

    name: str
    command: Sequence[str]
    stop_signals: Mapping[signal.Signals, signal.Signals] = field(default_factory=dict)
    umask: int = -1
    environment: Mapping[str, str] = field(default_factory=dict)


class RestartPolicy:
    """Exponential back-off from 0.1 s to 10 s, which starts over after a run of more than 30 s."""

    def __init__(self) -> None:
        self._delays_s = _BACKOFF.delays_s()

    def next_delay_s(self, *, uptime_s: float) -> float:
        """Return the delay before the next restart of a process that ran for `uptime_s` seconds."""
        if uptime_s > _STABLE_AFTER_S:
            self._delays_s = _BACKOFF.delays_s()
        return next(self._delays_s)


class SupervisedProcess:
    """The process of a service, started on construction. `restart_at` is the time of the next start by the
    monotonic clock, None unless a restart is scheduled."""

    def __init__(self, service: Service, environment: Mapping[str, str]) -> None:
        self.service = service
        self.restart_at: float | None = None
        self._environment = dict(environment)
        self._restarts = RestartPolicy()
        self._process = self._spawn()
        self._started_at = time.monotonic()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def schedule_restart(self, now: float) -> float:
        """Schedule the next start; return the delay in seconds."""
        delay_s = self._restarts.next_delay_s(uptime_s=now - self._started_at)
        self.restart_at = now + delay_s
        return delay_s

    def restart(self) -> None:
        self._process = self._spawn()
        self._started_at = time.monotonic()
        self.restart_at = None

    def stop(self, received: signal.Signals) -> None:
        """Send the signal that stops this service when the supervisor has received `received`."""
        if self.running:
            self._process.send_signal(self.service.stop_signals.get(received, signal.SIGTERM))

    def kill(self) -> None:
        if self.running:
            self._process.kill()

    def wait(self) -> int:
        """Wait for the end of the process; return its exit code, negative for a signal."""
        return self._process.wait()

    def describe_exit(self) -> str:
        """Return how the process ended, such as "exited with code 3"."""
        code = self._process.returncode
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"

    def _spawn(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603  our own commands
            self.service.command,
            env={**self._environment, **self.service.environment},
            stdin=subprocess.DEVNULL,
            umask=self.service.umask,
            start_new_session=True,  # the supervisor forwards a terminal's Ctrl-C
            preexec_fn=child_processes.die_with_parent,  # noqa: PLW1509  the supervisor has one thread
        )
