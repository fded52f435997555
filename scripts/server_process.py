"""Server processes, which end with this process at the latest."""

import os
import pwd
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from scripts.apt import Unavailable
from tork_celery import child_processes

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 20.0


@dataclass(slots=True, kw_only=True)
class Server:
    """A server process. It may be stopped and started again with the same port, password and data."""

    url: str
    command: Sequence[str | Path]
    directory: Path
    is_ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """All output of the process."""
        return log_path(self.directory).read_text(errors="replace")

    @contextmanager
    def running(self) -> Iterator["Server"]:
        """Run a block while the server runs. Raises Unavailable if it does not start."""
        try:
            self.start()
            yield self
        finally:
            self.stop()

    def start(self) -> None:
        """Start the process and wait until it is ready. Raises Unavailable with the end of its log."""
        self.process = spawn(self.command, self.directory, environment=self.environment, user=self.user)
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Unavailable(f"{self.command[0]} did not start:\n{self.log[-2000:]}")
            time.sleep(0.05)

    def stop(self, stop_signal: signal.Signals | None = None) -> None:
        """Stop the process with `stop_signal` or its usual signal, and wait until it has ended."""
        if self.process is not None:
            stop_process(self.process, stop_signal or self.stop_signal)


def spawn(
    command: Sequence[str | Path],
    directory: Path,
    *,
    environment: Mapping[str, str] | None = None,
    user: str | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process in a directory, which holds its log, optionally as another user.

    Ctrl-C does not reach it, so that it outlives its clients.
    """
    with log_path(directory).open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=directory,
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


def stop_process(process: subprocess.Popen[bytes], stop_signal: signal.Signals) -> None:
    """Send a signal and wait until the process has ended. It is killed if it does not end in time."""
    process.send_signal(stop_signal)
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def log_path(directory: Path) -> Path:
    return directory / "output.log"


@contextmanager
def server_directory(user: str | None = None) -> Iterator[Path]:
    """Create a temporary directory, which `user` owns."""
    with tempfile.TemporaryDirectory(prefix="tork-server-") as name:
        change_owner(Path(name), user)
        yield Path(name)


def change_owner(path: Path, user: str | None) -> None:
    if user is not None:
        os.chown(path, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
