"""The data directory of standalone mode: private to one user, and used by one system at a time."""

import fcntl
import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tork_celery.domain.errors import ConfigurationError

_PRIVATE_DIRECTORY = 0o700
_PRIVATE_FILE = 0o600
_PRIVATE_UMASK = 0o077
_ACCESS_OF_OTHERS = 0o077
_FILES = (
    "lock",
    "tork.db",
    "tork.db.key",
    "tork.db-wal",
    "tork.db-shm",
    "tork.db-journal",
    "tork.db-reserve",
)
_DIRECTORIES = ("broker", "logs", "work")


def make_private(directory: Path) -> None:
    """Create the directory, or close an existing one and its files to other users.

    Raises ConfigurationError for a directory of another user, and for one that others can use and that holds
    foreign files: closing `/srv`, say, would harm the machine.
    """
    try:
        directory.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        status = directory.stat()
        if status.st_uid != os.geteuid():
            raise ConfigurationError(
                f"the data directory {directory} belongs to {_user(status.st_uid)}, who could replace its "
                f"files: run this as {_user(status.st_uid)}, or choose another one with --data-dir"
            )
        if status.st_mode & _ACCESS_OF_OTHERS:
            _check_contents(directory)
            directory.chmod(_PRIVATE_DIRECTORY)
        _close_entries(directory)
    except OSError as error:
        raise ConfigurationError(f"cannot use the data directory {directory}: {error.strerror}") from error


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the lock of a private data directory. Raises ConfigurationError when another process holds it."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        lock = os.open(directory / "lock", flags, _PRIVATE_FILE)
    except OSError as error:
        raise ConfigurationError(f"cannot use the data directory {directory}: {error.strerror}") from error
    try:
        _lock(lock, directory)
        yield
    finally:
        os.close(lock)


@contextmanager
def private_files() -> Iterator[int]:
    """Deny other users access to all files that this process and its children create; yield the former
    umask."""
    former = os.umask(_PRIVATE_UMASK)
    try:
        yield former
    finally:
        os.umask(former)


def _lock(lock: int, directory: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ConfigurationError(
            f"another tork-celery uses the data directory {directory}; choose another one with --data-dir"
        ) from error


def _check_contents(directory: Path) -> None:
    """Raise ConfigurationError unless the directory is empty or was a data directory before."""
    names = {entry.name for entry in directory.iterdir()}
    if names and names.isdisjoint(_FILES):
        raise ConfigurationError(
            f"other users can read the data directory {directory}, and it holds files that are not of "
            f"tork-celery: choose an empty one with --data-dir, or run chmod 700 {directory}"
        )


def _close_entries(directory: Path) -> None:
    """Close what an earlier version created to other users. Follows no links."""
    for names, is_expected, mode in (
        (_FILES, stat.S_ISREG, _PRIVATE_FILE),
        (_DIRECTORIES, stat.S_ISDIR, _PRIVATE_DIRECTORY),
    ):
        for path in (directory / name for name in names):
            if os.path.lexists(path) and is_expected(path.lstat().st_mode):
                path.chmod(mode)


def _user(uid: int) -> str:
    try:
        return f"the user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"the user with the id {uid}"
