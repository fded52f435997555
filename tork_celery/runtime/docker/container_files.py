"""Files of a container, read and written by the engine's archive calls.

The engine resolves links inside the container. It opens regular files only, so a device is never opened.
"""

import os
import stat
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tork_celery.domain.errors import EngineFailed, StepFailed
from tork_celery.runtime.docker.archives import DIRECTORY_MODE, Entry, new_directory, new_file, pack
from tork_celery.runtime.docker.engine_api import EngineApi
from tork_celery.runtime.docker.error_mapping import map_engine_errors
from tork_celery.runtime.exchange import NotRegularFile, encode, relative_path

_READ = "read the files"
_ROOT = PurePosixPath("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A directory to write to: its deepest part that exists, without links, and the names of the others."""

    existing: PurePosixPath
    missing: tuple[str, ...] = ()

    @property
    def path(self) -> PurePosixPath:
        return self.existing.joinpath(*self.missing)


@dataclass(frozen=True, slots=True)
class ContainerFiles:
    """The files of the containers of one engine, running or not. Raises as `EngineApi` does."""

    api: EngineApi

    def read(self, container: str, path: str, *, limit_bytes: int) -> bytes | None:
        """Return the first bytes of a regular file, or None without a file. Raises NotRegularFile."""
        found = self.api.stat(container, path)
        if found is None:
            return None
        if not found.is_regular:
            raise NotRegularFile
        if not found.size_bytes:
            return b""
        member, contents = self._first_member(container, path, limit_bytes=limit_bytes)
        if not member.isreg():
            raise NotRegularFile
        return contents

    def write(self, container: str, entries: Sequence[Entry], *, directory: PurePosixPath = _ROOT) -> None:
        """Create directories and files below an existing directory."""
        self.api.put(container, str(directory), pack(entries, modified_at=time.time()))

    def locate(self, container: str, path: str) -> Place:
        """Find a directory that may be missing. Raises StepFailed when a part of the path is a file."""
        existing, (_, *names) = _ROOT, PurePosixPath(os.path.normpath(path)).parts
        for index, name in enumerate(names):
            found = self.api.stat(container, str(existing / name))
            if found is not None and found.is_link:
                target = existing / found.link_target
                found = self.api.stat(container, str(target))
            else:
                target = existing / name
            if found is None:
                return Place(existing=existing, missing=tuple(names[index:]))
            if not found.is_directory:
                raise StepFailed(f"workdir {path}: {existing / name} is not a directory")
            existing = target
        return Place(existing=existing)

    def write_files(
        self, container: str, place: Place, files: Mapping[str, str], *, open_to_all: bool
    ) -> None:
        """Write `files` below a directory, and create what is missing of it and below it, for every user.

        With `open_to_all` every user may write to the directory itself, unless it is private or `/`. Raises
        StepFailed for an invalid file name.
        """
        paths = {PurePosixPath(*place.missing, relative_path(name)): text for name, text in files.items()}
        entries = [
            new_directory(path)
            for path in _directories(paths, place)
            if place.missing or self.api.stat(container, str(place.existing / path)) is None
        ]
        entries += [new_file(path, encode(text)) for path, text in paths.items()]
        if entries:
            self.write(container, entries, directory=place.existing)
        if open_to_all and not place.missing:
            self.open_directory(container, place.existing)

    def open_volume(self, container: str, mount: Mapping[str, Any]) -> None:
        """Let every user write to the root of a volume, unless the image keeps it private.

        `mount` is the engine's description. A worker that may, changes the volume on this host: that takes no
        call.
        """
        source, path = Path(mount["Source"]), PurePosixPath(mount["Destination"])
        try:
            mode = stat.S_IMODE(source.stat().st_mode)
            if _is_closed(mode):
                source.chmod(mode | DIRECTORY_MODE)
        except OSError:
            self.open_directory(container, path)

    def set_mode(self, container: str, path: PurePosixPath, mode: int) -> None:
        """Give a directory of root other permissions, if it exists."""
        found = self.api.stat(container, str(path))
        if found is not None and found.is_directory and path != _ROOT:
            self.write(container, [Entry(path=PurePosixPath(path.name), mode=mode)], directory=path.parent)

    def open_directory(self, container: str, path: PurePosixPath) -> None:
        """Let every user write to a directory, unless it is private or `/`. Its owner is kept."""
        found = self.api.stat(container, str(path))
        if found is None or not found.is_directory or not _is_closed(found.permissions) or path == _ROOT:
            return
        member, _ = self._first_member(container, str(path), limit_bytes=0)
        opened = Entry(
            path=PurePosixPath(path.name), mode=member.mode | DIRECTORY_MODE, uid=member.uid, gid=member.gid
        )
        self.write(container, [opened], directory=path.parent)

    def _first_member(self, container: str, path: str, *, limit_bytes: int) -> tuple[tarfile.TarInfo, bytes]:
        """Return the header of a file or directory and the first bytes of a file."""
        with (
            closing(self.api.archive(container, path)) as response,
            map_engine_errors(_READ),
            _tar_errors_mapped(),
            tarfile.open(fileobj=response.raw, mode="r|") as tar,
        ):
            for member in tar:
                contents = tar.extractfile(member)
                return member, contents.read(limit_bytes) if contents is not None else b""
            raise tarfile.ReadError("empty archive")


@contextmanager
def _tar_errors_mapped() -> Iterator[None]:
    try:
        yield
    except tarfile.TarError as error:
        raise EngineFailed(f"the container engine's answer cannot be read: {error}", call=_READ) from error


def _is_closed(mode: int) -> bool:
    """Return whether other users may read a directory but not write to it. A private one stays as it is."""
    return bool(mode & stat.S_IROTH) and mode & stat.S_IRWXO != stat.S_IRWXO


def _directories(paths: Mapping[PurePosixPath, str], place: Place) -> list[PurePosixPath]:
    """Return the missing parts of a place, and the directories of files below it, parents first."""
    found = {PurePosixPath(*place.missing[: index + 1]) for index in range(len(place.missing))}
    for path in paths:
        found.update(path.parents)
    return sorted(found - {PurePosixPath(".")})
