"""A step's process and its descendants, supervised by the init process of `init.py`."""

import errno
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from tork_celery.domain.errors import EngineUnavailable, StepFailed
from tork_celery.runtime.protocol import Stream

_INIT = Path(__file__).with_name("init.py")
_CHUNK_BYTES = 64 * 1024
_STEP_ERRNOS = {errno.E2BIG, errno.ENOENT, errno.ENOTDIR, errno.EACCES}


class Process:
    """A command that starts at once and dies with this process. Close it with `contextlib.closing`.

    Raises StepFailed when the command can never start, EngineUnavailable when this host cannot start
    any process.
    """

    def __init__(self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> None:
        self._lifeline, init_lifeline = socket.socketpair()
        try:
            with init_lifeline:
                self._init = _spawn_init(init_lifeline.fileno(), command, cwd, env)
        except BaseException:
            self._lifeline.close()
            raise

    def output(self) -> Iterator[tuple[Stream, bytes]]:
        """Yield the output as it arrives, in order per stream, until the command and its descendants end."""
        streams = {pipe.fileno(): stream for pipe, stream in self._pipes()}
        poller = select.poll()
        for fd in (self._lifeline.fileno(), *streams):
            poller.register(fd, select.POLLIN)
        alive = True
        while alive:
            for fd, _ in poller.poll():
                if fd == self._lifeline.fileno():
                    alive = False
                elif data := os.read(fd, _CHUNK_BYTES):
                    yield streams[fd], data
                else:
                    poller.unregister(fd)
        yield from self._remaining_output()

    def wait(self) -> int:
        """Return the exit code, 128 + N for signal N."""
        code = self._init.wait()
        return code if code >= 0 else 128 - code

    def terminate(self) -> None:
        """Send TERM to the command, unless it has ended."""
        try:
            self._lifeline.send(b"T")
        except OSError:
            return

    def kill(self) -> None:
        """Kill the command and all its descendants, unless they have ended."""
        try:
            self._lifeline.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def close(self) -> None:
        """Kill the command and its descendants, wait for their end, and free all resources."""
        self.kill()
        self._init.wait()
        self._lifeline.close()
        for pipe, _ in self._pipes():
            pipe.close()

    def _pipes(self) -> Iterator[tuple[IO[bytes], Stream]]:
        for pipe, stream in ((self._init.stdout, Stream.STDOUT), (self._init.stderr, Stream.STDERR)):
            if pipe is not None:
                yield pipe, stream

    def _remaining_output(self) -> Iterator[tuple[Stream, bytes]]:
        """Yield what is buffered in the pipes, without waiting for their end.

        A setuid descendant cannot be killed and may hold them open.
        """
        for pipe, stream in self._pipes():
            os.set_blocking(pipe.fileno(), False)
            try:
                while data := os.read(pipe.fileno(), _CHUNK_BYTES):
                    yield stream, data
            except BlockingIOError:
                continue


def _spawn_init(
    lifeline: int, command: Sequence[str], cwd: Path, env: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603  a shell runtime runs what clients write
            [sys.executable, "-I", "-S", str(_INIT), str(lifeline), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd=cwd,
            env=env,
            start_new_session=True,
            pass_fds=[lifeline],
        )
    except ValueError as error:
        raise StepFailed(f"the command cannot be run: {error}") from error
    except OSError as error:
        if error.errno in _STEP_ERRNOS:
            raise StepFailed(f"the command cannot be run: {error.strerror}: {error.filename}") from error
        raise EngineUnavailable(f"this host cannot start a process: {error.strerror}") from error
