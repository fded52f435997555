"""Files of a killed container engine that prevent the next one from starting."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class PidFile:
    path: Path
    program: str

    def running_pid(self) -> int | None:
        """Return the pid in the file, or None if no process of the program has this pid."""
        try:
            pid = int(self.path.read_text())
            name = (PROC / str(pid) / "comm").read_text().strip()
        except (OSError, ValueError):
            return None
        return pid if name == self.program else None

    def remove_if_stale(self) -> None:
        if self.path.exists() and self.running_pid() is None:
            print(f"removing {self.path} of a {self.program} that has ended", flush=True)
            self.path.unlink(missing_ok=True)


ENGINE = PidFile(path=Path("/var/run/docker.pid"), program="dockerd")
CONTAINERD = PidFile(path=Path("/var/run/docker/containerd/containerd.pid"), program="containerd")
SHARED_CONTAINERD = Path("/run/containerd/containerd.sock")
"""If this socket exists, dockerd uses it and starts no containerd."""


def remove_stale_files() -> None:
    """Remove the files that no running process uses."""
    ENGINE.remove_if_stale()
    CONTAINERD.remove_if_stale()
    remove_socket_without_listener(SHARED_CONTAINERD)


def remove_socket_without_listener(path: Path) -> None:
    if path.is_socket() and not has_listener(path):
        print(f"removing {path}, on which no process listens", flush=True)
        path.unlink(missing_ok=True)


def has_listener(path: Path) -> bool:
    """Return whether a process listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(os.fspath(path))
        except OSError:
            return False
    return True
