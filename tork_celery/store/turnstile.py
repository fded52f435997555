"""Turns of the processes that write to one file of SQLite."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LONGEST_WAIT_S = 1.0
_POLL_S = 0.001


class Turnstile:
    """Lets one process at a time wait for SQLite's write lock, so that it is the next to get it.

    SQLite's own waiting polls, at intervals of up to 100 ms. Between two transactions of a process that
    writes without a pause, others would almost never find the lock free, and fail after the busy timeout.

    The order is a courtesy: a wait of more than a second ends without a turn, for the process that has it may
    be frozen. The threads of a process must take turns by other means, such as `FairLock`.
    """

    def __init__(self, path: Path) -> None:
        """`path` is a file that exists for this purpose. It is created when it is missing."""
        self._path = path
        self._file: int | None = None

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the turn, and keep it for a block: until the write lock is there."""
        is_held = self._acquire()
        try:
            yield
        finally:
            if is_held and self._file is not None:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file. The next turn opens it again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _acquire(self) -> bool:
        if self._file is None:
            try:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError:  # SQLite reports what is wrong with the path
                return False
        deadline_s = time.monotonic() + _LONGEST_WAIT_S
        while not _try_lock(self._file):
            if time.monotonic() > deadline_s:
                return False
            time.sleep(_POLL_S)
        return True


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
