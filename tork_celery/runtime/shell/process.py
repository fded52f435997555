"""A step's process and all that descends from it, under an init process of ours."""

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
_FAULTS_OF_THE_STEP = {errno.E2BIG, errno.ENOENT, errno.ENOTDIR, errno.EACCES}


class Process:
    """Starts at once, and ends with this process at the latest. Close it with `contextlib.closing`.

    Raises StepFailed when it can never start, EngineUnavailable when this machine cannot start any.
    """

    def __init__(self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> None:
        self._lifeline, theirs = socket.socketpair()
        try:
            with theirs:
                self._init = _start(theirs.fileno(), command, cwd, env)
        except BaseException:
            self._lifeline.close()
            raise

    def output(self) -> Iterator[tuple[Stream, bytes]]:
        """What it prints, as it comes, until it and its descendants are gone. Each stream is in order."""
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
        yield from self._rest()

    def wait(self) -> int:
        """The exit code, 128 + N for signal N."""
        code = self._init.wait()
        return code if code >= 0 else 128 - code

    def terminate(self) -> None:
        """Send TERM to the command. No error when it is over."""
        try:
            self._lifeline.send(b"T")
        except OSError:
            return

    def kill(self) -> None:
        """Kill it and all its descendants. No error when it is over."""
        try:
            self._lifeline.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def close(self) -> None:
        """Kill what is left and wait for its end."""
        self.kill()
        self._init.wait()
        self._lifeline.close()
        for pipe, _ in self._pipes():
            pipe.close()

    def _pipes(self) -> Iterator[tuple[IO[bytes], Stream]]:
        for pipe, stream in ((self._init.stdout, Stream.STDOUT), (self._init.stderr, Stream.STDERR)):
            if pipe is not None:
                yield pipe, stream

    def _rest(self) -> Iterator[tuple[Stream, bytes]]:
        """What is still in the pipes. A process that took another user's rights may live on and hold them
        open: it is not waited for."""
        for pipe, stream in self._pipes():
            os.set_blocking(pipe.fileno(), False)
            try:
                while data := os.read(pipe.fileno(), _CHUNK_BYTES):
                    yield stream, data
            except BlockingIOError:
                continue


def _start(
    lifeline: int, command: Sequence[str], cwd: Path, env: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603  running what a client wrote is what a shell runtime is for
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
        if error.errno in _FAULTS_OF_THE_STEP:
            raise StepFailed(f"the command cannot be run: {error.strerror}: {error.filename}") from error
        raise EngineUnavailable(f"this machine cannot start a process: {error.strerror}") from error
