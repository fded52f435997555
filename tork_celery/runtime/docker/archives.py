"""The files of a container as the engine's archive calls take and describe them."""

import base64
import io
import json
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

DIRECTORY_MODE = 0o777
FILE_MODE = 0o666
SCRIPT_MODE = 0o755
# Bits of Go's FileMode: a directory, a link; a device, FIFO, socket, character device or anything else.
_GO_DIRECTORY = 1 << 31
_GO_LINK = 1 << 27
_GO_TYPES = _GO_DIRECTORY | _GO_LINK | 1 << 26 | 1 << 25 | 1 << 24 | 1 << 21 | 1 << 19


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A directory, or a file with `contents`."""

    path: PurePosixPath
    mode: int
    contents: bytes | None = None
    uid: int = 0
    gid: int = 0


def new_directory(path: PurePosixPath) -> Entry:
    """Return a directory in which every user may write."""
    return Entry(path=path, mode=DIRECTORY_MODE)


def new_file(path: PurePosixPath, contents: bytes, *, mode: int = FILE_MODE) -> Entry:
    """Return a file to which every user may write."""
    return Entry(path=path, mode=mode, contents=contents)


def pack(entries: Iterable[Entry], *, modified_at: float) -> bytes:
    """Return an archive. The engine creates missing directories that it lacks, and existing ones keep their
    permissions unless they have an entry."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for entry in entries:
            member = tarfile.TarInfo(str(entry.path))
            member.mode, member.mtime = entry.mode, int(modified_at)
            member.uid, member.gid = entry.uid, entry.gid
            if entry.contents is None:
                member.type = tarfile.DIRTYPE
            else:
                member.size = len(entry.contents)
            tar.addfile(member, io.BytesIO(entry.contents or b""))
    return buffer.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class PathStat:
    """What the engine says about a path in a container. `mode` has the bits of Go's FileMode."""

    size_bytes: int
    mode: int
    link_target: str
    modified_at: str

    @classmethod
    def decode(cls, header: str) -> "PathStat":
        found = json.loads(base64.b64decode(header))
        return cls(
            size_bytes=found["size"],
            mode=found["mode"],
            link_target=found["linkTarget"],
            modified_at=found["mtime"],
        )

    @property
    def is_directory(self) -> bool:
        return bool(self.mode & _GO_DIRECTORY)

    @property
    def is_link(self) -> bool:
        return bool(self.mode & _GO_LINK)

    @property
    def is_regular(self) -> bool:
        return not self.mode & _GO_TYPES

    @property
    def permissions(self) -> int:
        return self.mode & 0o777
