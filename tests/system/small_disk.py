"""A small disk, which a step can fill."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

DISK_MIB = 80
FILL = "dd if=/dev/zero of=$TORK_OUTPUT bs=1M count=500"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=700", "tork-test", str(disk)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"this user may not mount a file system: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)  # an engine removes its mounts late
