"""The files by which the programs of a container know its network."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tork_celery.runtime.docker.container_files import ContainerFiles

_PATHS = ("/etc/hosts", "/etc/resolv.conf", "/etc/hostname")
_LIMIT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class NetworkFiles:
    """The contents of these files, by path. The engine writes them for each container with a network.

    Containers that join the network of another one share its files. So each step has copies: what it writes
    to one of them is gone with the step.
    """

    contents: Mapping[str, bytes]

    @classmethod
    def of(cls, container: str, files: ContainerFiles) -> "NetworkFiles":
        """Read the files of a running container. Raises as `EngineApi` does, and NotRegularFile."""
        read = {path: files.read(container, path, limit_bytes=_LIMIT_BYTES) for path in _PATHS}
        return cls({path: contents for path, contents in read.items() if contents is not None})

    @property
    def by_name(self) -> dict[str, bytes]:
        return {PurePosixPath(path).name: contents for path, contents in self.contents.items()}

    def mounts(self, directory: Path, *, taken: Collection[str]) -> list[dict[str, Any]]:
        """Return the mounts of the copies in a directory of this host, without those for paths in `taken`."""
        return [
            {"Type": "bind", "Source": str(directory / PurePosixPath(path).name), "Target": path}
            for path in self.contents
            if path not in taken
        ]
