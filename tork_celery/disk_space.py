"""The free space of a disk: of the file system that a path is on."""

import math
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSpace:
    """What this user may still write. `free_files` is infinite where the number of files has no limit."""

    total_bytes: int
    free_bytes: int
    free_files: float = math.inf

    @classmethod
    def of(cls, path: Path) -> "DiskSpace":
        """Measure the disk of a path, of which the last parts need not exist. Raises OSError."""
        while not path.exists() and path != path.parent:
            path = path.parent
        disk = os.statvfs(path)
        return cls(
            total_bytes=disk.f_blocks * disk.f_frsize,
            free_bytes=disk.f_bavail * disk.f_frsize,
            free_files=disk.f_favail if disk.f_files else math.inf,
        )
