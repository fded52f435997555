"""The disk space of an exchange directory: how much a step uses, and how it is freed.

A step controls everything in its directory, also while this runs. Links are never followed.
"""

import errno
import math
import os
import shutil
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

_BLOCK_BYTES = 512  # the unit of st_blocks, on every file system
_FILE_BYTES = 4096  # an empty file uses up space too: one of the files that the disk may have


def used_bytes(directory: Path, *, enough: float = math.inf) -> float:
    """Return the disk space of a directory in bytes, at least 4 KiB a file. Stops counting above `enough`.

    Directories that are nested too deep to be read count as infinite: nothing may hide there.
    """
    used = 0.0
    linked: set[tuple[int, int]] = set()
    pending = [str(directory)]
    while pending and used <= enough:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    used += _entry_bytes(entry, linked)
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
        except OSError as error:
            if isinstance(error, FileNotFoundError | NotADirectoryError | PermissionError):
                continue  # the step has removed it, or closed it to this user
            return math.inf
    return used


def _entry_bytes(entry: os.DirEntry[str], linked: set[tuple[int, int]]) -> int:
    """Return the disk space of a file or directory. A file with several names counts once."""
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return 0
    if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
        if (status.st_dev, status.st_ino) in linked:
            return 0
        linked.add((status.st_dev, status.st_ino))
    return max(_FILE_BYTES, status.st_blocks * _BLOCK_BYTES)


def free_space(
    directory: Path, *, keep_bytes: Mapping[str, int], remove_tree: Callable[[Path], None] = shutil.rmtree
) -> None:
    """Remove everything from a directory, but keep the first bytes of the files in `keep_bytes`.

    Where one of these is no file, something of its kind remains, so that a reader still sees the fault. Needs
    no space. Does nothing if the directory does not exist. Failures are logged as `runtime.removal_failed`.
    """
    try:
        with os.scandir(directory) as entries:
            found = list(entries)
    except FileNotFoundError:
        return
    for entry in found:
        try:
            _free_entry(entry, keep_bytes.get(entry.name), remove_tree)
        except OSError as error:
            log.warning("runtime.removal_failed", path=entry.path, reason=str(error))


def _free_entry(entry: os.DirEntry[str], keep_bytes: int | None, remove_tree: Callable[[Path], None]) -> None:
    path = Path(entry.path)
    if entry.is_dir(follow_symlinks=False):
        remove_tree(path)
        if keep_bytes is not None:
            path.mkdir()
    elif keep_bytes is None:
        path.unlink(missing_ok=True)
    elif entry.is_file(follow_symlinks=False):
        _truncate(path, keep_bytes)


def _truncate(path: Path, size_bytes: int) -> None:
    try:
        descriptor = _open_file(path, os.O_WRONLY)
    except PermissionError:  # a container's root user has replaced the file
        _replace(path, size_bytes)
        return
    try:
        if os.fstat(descriptor).st_size > size_bytes:
            os.ftruncate(descriptor, size_bytes)
    finally:
        os.close(descriptor)


def _replace(path: Path, size_bytes: int) -> None:
    """Replace a file of another user by its first bytes. Leaves one alone that this user cannot read."""
    try:
        descriptor = _open_file(path, os.O_RDONLY)
    except PermissionError:
        return
    with os.fdopen(descriptor, "rb") as file:
        contents = file.read(size_bytes)
    path.unlink()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(contents)


def _open_file(path: Path, flags: int) -> int:
    """Open a regular file. Opens nothing, not even a device, before it is known to be one. Raises OSError."""
    handle = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return os.open(f"/proc/self/fd/{handle}", flags | os.O_CLOEXEC)
    finally:
        os.close(handle)
