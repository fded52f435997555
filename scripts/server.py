"""A server process of our own, and how processes are begun and ended so that nothing of them stays."""

import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from scripts.apt import Unavailable
from tork_celery import child_processes

_START_WITHIN_S = 60.0
_STOP_WITHIN_S = 20.0


@dataclass(slots=True, kw_only=True)
class Server:
    """One server process. It may be stopped and started again: its port, password and data stay."""

    url: str
    command: Sequence[str | Path]
    folder: Path
    answers: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What it has printed so far."""
        return log_of(self.folder).read_text(errors="replace")

    @contextmanager
    def running(self) -> Iterator["Server"]:
        """It runs while the context lasts. Raises Unavailable with its log when it does not come up."""
        try:
            self.start()
            yield self
        finally:
            self.stop()

    def start(self) -> None:
        """Returns when it answers. Raises Unavailable as `running` does."""
        self.process = spawn(self.command, self.folder, environment=self.environment, user=self.user)
        deadline = time.monotonic() + _START_WITHIN_S
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Unavailable(f"{self.command[0]} did not start:\n{self.log[-2000:]}")
            time.sleep(0.05)

    def stop(self, number: signal.Signals | None = None) -> None:
        """End it as it likes to be ended, or by another signal; returns when it has ended."""
        if self.process is not None:
            end(self.process, number or self.stop_signal)

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP freezes it, SIGCONT lets it go on."""
        assert self.process is not None
        self.process.send_signal(number)


def spawn(
    command: Sequence[str | Path],
    folder: Path,
    *,
    environment: Mapping[str, str] | None = None,
    user: str | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process in the folder, as another user where one is named; it ends with this one. In a session
    of its own, so that a Ctrl-C does not reach it before those who use it have ended."""
    with log_of(folder).open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})},
            user=user,
            group=user and pwd.getpwnam(user).pw_gid,
            extra_groups=[] if user else None,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=child_processes.die_with_parent,  # noqa: PLW1509  it only calls the kernel
        )


def end(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Returns when the process has ended; one that does not by itself is killed."""
    process.send_signal(number)
    try:
        process.wait(_STOP_WITHIN_S)
    except subprocess.TimeoutExpired:  # it is frozen, or waits for its clients
        process.kill()
        process.wait()


def log_of(folder: Path) -> Path:
    return folder / "output.log"
