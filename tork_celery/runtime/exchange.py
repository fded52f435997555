"""Exchange directories: the files that pass between a runtime and its steps.

    <work_dir>/<node>/<task id>-<delivery>/<step>/
        entrypoint    the script
        output        the file that TORK_OUTPUT names
        progress      the file that TORK_PROGRESS names
        workdir/      the directory in which the step starts, with its files
        files/        files that are mounted one by one
        network/      files of the step's network, which are mounted one by one
    <work_dir>/<node>/trial/
        files by which the node tries whether the engine sees this directory

A step may be any program that runs as any user, and it controls everything below its own directory. So
nothing that is read back is trusted: links are not followed, only regular files are opened, and read only up
to a limit.
"""

import errno
import math
import os
import shutil
import stat
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote

from tork_celery.domain.errors import EngineUnavailable, StepFailed
from tork_celery.domain.model import StepRef
from tork_celery.runtime import exchange_space
from tork_celery.runtime.protocol import MAX_RESULT_BYTES, Leftovers, StepRun

ENTRYPOINT = "entrypoint"
OUTPUT = "output"
PROGRESS = "progress"
WORKDIR = "workdir"
FILES = "files"
NETWORK = "network"
_TRIAL = "trial"  # the name of no delivery

# Steps run as any user. The mode of `work_dir` itself keeps other users of this host out.
_DIRECTORY_MODE = 0o777
_FILE_MODE = 0o666
_SCRIPT_MODE = 0o755
_NETWORK_FILE_MODE = 0o644
_WORK_DIR_MODE = 0o700
_SEARCH_BITS = 0o111
MAX_PROGRESS_BYTES = 64
_MAX_NAME_BYTES = 255  # of one part of a path, in all common file systems
_SAFE = "@,+="  # in the name of a node's directory
_INVALID_FILES_ERRNOS = {
    errno.EEXIST,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
}


class NotRegularFile(Exception):
    """A step put something else in place of a file, for example a link or a device. Nothing opened it."""


class Exchange:
    """The exchange directories of one node. Other nodes of this host may use the same `work_dir`."""

    def __init__(self, *, work_dir: Path, node: str) -> None:
        self._work_dir = work_dir.absolute()
        self._node_dir = self._work_dir / quote(node, safe=_SAFE)

    def path(self, ref: StepRef) -> Path:
        return self._node_dir / f"{ref.task_id}-{ref.delivery}" / str(ref.step)

    def exists(self, ref: StepRef) -> bool:
        return self.path(ref).exists()

    def create(self, run: StepRun, *, files: Mapping[str, str], workdir: str = WORKDIR) -> Path:
        """Create the directory of one step with its script, and with `files` in its directory `workdir`.

        Raises StepFailed for names of files that are invalid or conflict, EngineUnavailable when this host
        cannot write, for example because its disk is full.
        """
        path = self.path(run.ref)
        with _os_errors_mapped(path):
            self._work_dir.mkdir(mode=_WORK_DIR_MODE, parents=True, exist_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            _create_directory(path)
            _create_directory(path / WORKDIR)
            for name in (OUTPUT, PROGRESS):
                _write(path / name, b"", _FILE_MODE)
            if run.definition.run is not None:
                _write(path / ENTRYPOINT, encode(run.definition.run), _SCRIPT_MODE)
            _create_directories(path, PurePosixPath(workdir))
            write_files(path / workdir, files)
        return path

    def create_files(self, ref: StepRef, files: Mapping[str, str]) -> Path:
        """Write `files` to a directory that the step does not see as a whole. Raises as `create` does."""
        path = self.path(ref) / FILES
        with _os_errors_mapped(path):
            self._work_dir.mkdir(mode=_WORK_DIR_MODE, parents=True, exist_ok=True)
            path.mkdir(parents=True)
            write_files(path, files)
        return path

    def create_network_files(self, ref: StepRef, files: Mapping[str, bytes]) -> Path:
        """Write the files of a step's network, by name, and return their directory.

        Their owner may write to them, as to those of the engine. Raises EngineUnavailable when this host
        cannot write.
        """
        return self._create_network_files(self.path(ref) / NETWORK, files)

    def create_trial(self, files: Mapping[str, bytes]) -> Path:
        """Write files by which to try whether the engine sees them. Raises as `create_network_files` does."""
        self.remove_trial()
        return self._create_network_files(self._node_dir / _TRIAL, files)

    def remove_trial(self) -> None:
        _remove_tree(self._node_dir / _TRIAL)

    def output(self, ref: StepRef) -> bytes | None:
        """Return what the step wrote to TORK_OUTPUT, at most MAX_RESULT_BYTES + 1 bytes. None without a file.

        Raises NotRegularFile, and OSError when this user may not read the file.
        """
        return _read(self.path(ref) / OUTPUT, MAX_RESULT_BYTES + 1)

    def progress(self, ref: StepRef) -> float | None:
        """Return the percentage that the step last wrote to TORK_PROGRESS; None for anything else."""
        try:
            return parse_progress(_read(self.path(ref) / PROGRESS, MAX_PROGRESS_BYTES) or b"")
        except (NotRegularFile, OSError):
            return None

    def used_bytes(self, task_id: str, delivery: int, *, enough: float = math.inf) -> float:
        """Return the disk space that a delivery uses; any number above `enough` if that is more."""
        return exchange_space.used_bytes(self._node_dir / f"{task_id}-{delivery}", enough=enough)

    def largest_delivery(self, *, at_least_bytes: float) -> list[StepRef]:
        """Return the steps of the delivery that uses most disk space, of any node; none if that is less."""
        used = self.used_by_delivery()
        largest = max(used, key=lambda delivery: used[delivery], default=None)
        if largest is None or used[largest] < at_least_bytes:
            return []
        task_id, delivery = largest
        return [
            StepRef(task_id=task_id, delivery=delivery, step=int(step))
            for node_dir in _names(self._work_dir)
            for step in _names(self._work_dir / node_dir / f"{task_id}-{delivery}")
            if step.isdecimal()
        ]

    def used_by_delivery(self) -> dict[tuple[str, int], float]:
        """Return the disk space of all deliveries that have a directory, of all nodes that use `work_dir`."""
        return {
            (left.task_id, left.delivery): exchange_space.used_bytes(
                self._work_dir / quote(left.node, safe=_SAFE) / f"{left.task_id}-{left.delivery}"
            )
            for left in self.leftovers()
        }

    def free_space(self, ref: StepRef) -> None:
        """Remove what the step wrote and nobody reads. `output` and `progress` return the same afterwards.

        It does not matter which node of the host has the step.
        """
        keep_bytes = {OUTPUT: MAX_RESULT_BYTES + 1, PROGRESS: MAX_PROGRESS_BYTES}
        for node_dir in _names(self._work_dir):
            path = self._work_dir / node_dir / f"{ref.task_id}-{ref.delivery}" / str(ref.step)
            exchange_space.free_space(path, keep_bytes=keep_bytes, remove_tree=_remove_tree)

    def _create_network_files(self, path: Path, files: Mapping[str, bytes]) -> Path:
        with _os_errors_mapped(path):
            self._work_dir.mkdir(mode=_WORK_DIR_MODE, parents=True, exist_ok=True)
            path.mkdir(parents=True, exist_ok=True)
            for name, contents in files.items():
                _write(path / name, contents, _NETWORK_FILE_MODE)
        return path

    def steps(self) -> Iterator[StepRef]:
        """Yield the steps of this node that have a directory."""
        for name in _names(self._node_dir):
            task_id, _, delivery = name.rpartition("-")
            for step in _names(self._node_dir / name):
                if task_id and delivery.isdecimal() and step.isdecimal():
                    yield StepRef(task_id=task_id, delivery=int(delivery), step=int(step))

    def remove(self, ref: StepRef) -> None:
        _remove_tree(self.path(ref))

    def remove_delivery(self, task_id: str, delivery: int) -> None:
        """Remove the directories of one delivery, those of other nodes of this host included."""
        for node_dir in _names(self._work_dir):
            _remove_tree(self._work_dir / node_dir / f"{task_id}-{delivery}")

    def leftovers(self) -> Iterator[Leftovers]:
        """Yield the deliveries that have a directory, of all nodes that use `work_dir`."""
        for node_dir in _names(self._work_dir):
            for name in _names(self._work_dir / node_dir):
                task_id, _, delivery = name.rpartition("-")
                if task_id and delivery.isdecimal():
                    yield Leftovers(unquote(node_dir), task_id, int(delivery))


def unusable_output(error: NotRegularFile | OSError) -> str:
    """Return the note for the user when `Exchange.output` raised `error`."""
    reason = (
        "is not a regular file" if isinstance(error, NotRegularFile) else f"cannot be read: {_reason(error)}"
    )
    return f"TORK_OUTPUT {reason}; the result is what the step printed"


def parse_progress(text: bytes) -> float | None:
    """Return the percentage that `text` is. None for anything else."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number <= 100 else None  # noqa: PLR2004  a percentage


def encode(text: str) -> bytes:
    """Return `text` as UTF-8, with a question mark for each lone surrogate, which JSON allows."""
    return text.encode("utf-8", "replace")


def relative_path(name: str) -> PurePosixPath:
    """Return the path of a file below the work directory. Raises StepFailed for an invalid name."""
    path = PurePosixPath(name)
    if any(len(encode(part)) > _MAX_NAME_BYTES for part in path.parts):
        raise StepFailed(f"files: {name[:100]!r} has a name of more than {_MAX_NAME_BYTES} bytes; shorten it")
    if encode(name).decode() != name:
        raise StepFailed(f"files: {name[:100]!r} cannot be written as UTF-8")
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in name or name.endswith("/"):
        raise StepFailed(
            f"files: {name[:100]!r} is not a valid file name: write a path below the work directory, "
            'without ".."'
        )
    return path


def write_files(directory: Path, files: Mapping[str, str], *, mode: int = _FILE_MODE) -> None:
    """Write `files` below `directory`, and overwrite existing ones. Raises StepFailed, OSError."""
    for name, contents in files.items():
        path = relative_path(name)
        _create_directories(directory, path.parent, mode | _SEARCH_BITS)
        _write(directory / path, encode(contents), mode)


@contextmanager
def _os_errors_mapped(path: Path) -> Iterator[None]:
    """Raise StepFailed for errors that the names of the files cause, EngineUnavailable for all others."""
    try:
        yield
    except OSError as error:
        if error.errno in _INVALID_FILES_ERRNOS:
            raise StepFailed(f"files: cannot be written: {_reason(error)}") from error
        raise EngineUnavailable(f"the directory {path} cannot be written: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _create_directories(top: Path, path: PurePosixPath, mode: int = _DIRECTORY_MODE) -> None:
    """Create the directory `path` below `top`, with those between them. Existing ones keep their mode."""
    for part in (*reversed(path.parents[:-1]), path):
        if not (top / part).is_dir():
            _create_directory(top / part, mode)


def _create_directory(path: Path, mode: int = _DIRECTORY_MODE) -> None:
    path.mkdir()
    path.chmod(mode)  # mkdir applies the umask


def _write(path: Path, contents: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(path, flags | os.O_NONBLOCK, mode)  # O_NONBLOCK: a FIFO there is an error, not a wait
    with os.fdopen(fd, "wb") as file:
        os.fchmod(fd, mode)  # open applies the umask
        file.write(contents)


def _read(path: Path, limit_bytes: int) -> bytes | None:
    """Return the first bytes of a regular file, or None without a file. Raises NotRegularFile, OSError."""
    try:
        # O_PATH opens nothing: it calls no driver of a device, and does not wait for the writer of a FIFO.
        handle = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise NotRegularFile
        file = os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(handle)
    try:
        return os.read(file, limit_bytes)
    finally:
        os.close(file)


def _names(directory: Path) -> list[str]:
    """Return the names in `directory`; none when it does not exist."""
    try:
        return [entry.name for entry in directory.iterdir()]
    except FileNotFoundError:
        return []


def _remove_tree(path: Path) -> None:
    """Remove a tree, even when a step revoked the permissions or nested directories too deep for rmtree."""
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return
    except (PermissionError, RecursionError):
        _flatten(path)
        shutil.rmtree(path)


def _flatten(top: Path) -> None:
    """Move all directories of a tree to its top and give the owner access to them. Follows no links."""
    top.chmod(stat.S_IRWXU)
    pending = [top]
    while pending:
        directory = os.open(pending.pop(), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            with os.scandir(directory) as entries:
                inner = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
            for name in inner:
                moved = top / uuid.uuid4().hex
                os.chmod(name, stat.S_IRWXU, dir_fd=directory)
                os.rename(name, moved, src_dir_fd=directory)
                pending.append(moved)
        finally:
            os.close(directory)
