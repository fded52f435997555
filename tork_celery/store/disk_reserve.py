"""Disk space that is kept for a SQLite datastore, for what must work while its disk is full.

SQLite appends to its write-ahead log in every transaction, also in those that delete rows.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from tork_celery.disk_space import DiskSpace
from tork_celery.domain.errors import DatastoreFull

log = structlog.get_logger(__name__)

_LARGEST_BYTES = 16 * 2**20
_SHARE_OF_DISK = 1 / 20
_FEW_FILES = 16  # SQLite creates up to three files
_SUFFIX = "-reserve"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskReserve:
    """A file beside the database that occupies disk space. All processes of an installation share it.

    It is removed when the disk is almost full, and created again when there is room. Without it the disk
    counts as full: reads and small writes use what it has released, and what makes the datastore grow is
    refused. Thread-safe.
    """

    database: Path
    measure: Callable[[Path], DiskSpace] = DiskSpace.of

    @property
    def path(self) -> Path:
        return self.database.with_name(self.database.name + _SUFFIX)

    def update(self) -> bool:
        """Release the reserve if the disk is almost full; create it if it is missing and there is room.

        Return whether the disk has room.
        """
        try:
            disk = self.measure(self.database.parent)
            size_bytes = _size_bytes(disk)
            if self._is_held(size_bytes):
                if not self._is_almost_full(disk):
                    return True
                self.release()
            return self._has_room(disk) and self._create(size_bytes)
        except OSError:  # the directory is missing; SQLite reports what is wrong
            return True

    def release(self) -> None:
        """Give the space of the reserve to the database."""
        with suppress(FileNotFoundError):  # it is released already
            self.path.unlink()
            log.warning("datastore.disk_full", database=str(self.database))

    def require_room(self) -> None:
        """Raise DatastoreFull while the disk is full."""
        if not self.update():
            raise self.error()

    def explains_errors(self) -> bool:
        """Return whether any error of SQLite may be due to a full disk."""
        with suppress(OSError):
            return self._is_almost_full(self.measure(self.database.parent))
        return False

    def error(self) -> DatastoreFull:
        return DatastoreFull(
            f"the disk of the datastore is full: {self.database.parent}. Jobs can be read, cancelled and "
            "deleted; free some space to submit jobs"
        )

    def _is_held(self, size_bytes: int) -> bool:
        try:
            return self.path.stat().st_size >= size_bytes
        except FileNotFoundError:
            return False

    def _is_almost_full(self, disk: DiskSpace) -> bool:
        return disk.free_bytes < _size_bytes(disk) // 4 or disk.free_files < _FEW_FILES

    def _has_room(self, disk: DiskSpace) -> bool:
        """Return whether the disk is not almost full with the reserve, by some distance."""
        return disk.free_bytes > _size_bytes(disk) * 3 // 2 and disk.free_files >= 2 * _FEW_FILES

    def _create(self, size_bytes: int) -> bool:
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError:  # this user may not create it: the datastore works without
            return True
        try:
            os.posix_fallocate(descriptor, 0, size_bytes)
        except OSError:  # the disk has filled up in the meantime
            self.path.unlink(missing_ok=True)
            return False
        finally:
            os.close(descriptor)
        log.info("datastore.disk_reserved", database=str(self.database))
        return True


def _size_bytes(disk: DiskSpace) -> int:
    return min(_LARGEST_BYTES, int(disk.total_bytes * _SHARE_OF_DISK))
