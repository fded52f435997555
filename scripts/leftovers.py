"""What a killed container engine leaves behind that keeps the next one from starting."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class PidFile:
    path: Path
    program: str

    def running(self) -> int | None:
        """The pid of the program that wrote the file; None if it has ended, also when another program has
        its pid by now."""
        try:
            pid = int(self.path.read_text())
            name = (PROC / str(pid) / "comm").read_text().strip()
        except (OSError, ValueError):
            return None
        return pid if name == self.program else None

    def remove_if_stale(self) -> None:
        if self.path.exists() and self.running() is None:
            print(f"removing {self.path}, left by a {self.program} that has ended", flush=True)
            self.path.unlink(missing_ok=True)


ENGINE = PidFile(path=Path("/var/run/docker.pid"), program="dockerd")
CONTAINERD = PidFile(path=Path("/var/run/docker/containerd/containerd.pid"), program="containerd")
SHARED_CONTAINERD = Path("/run/containerd/containerd.sock")
"""Where this exists dockerd uses it and starts no containerd of its own."""


def remove() -> None:
    """Remove what is stale; what a live engine uses stays."""
    ENGINE.remove_if_stale()
    CONTAINERD.remove_if_stale()
    remove_if_deaf(SHARED_CONTAINERD)


def remove_if_deaf(path: Path) -> None:
    """Remove a Unix socket that nobody listens on."""
    if path.is_socket() and not is_heard(path):
        print(f"removing {path}, which nobody listens on", flush=True)
        path.unlink(missing_ok=True)


def is_heard(path: Path) -> bool:
    """Whether somebody listens on the Unix socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(os.fspath(path))
        except OSError:
            return False
    return True
