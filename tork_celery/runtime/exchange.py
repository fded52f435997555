"""The directories through which a runtime and its steps exchange files.

    <work_dir>/<node>/<task id>-<delivery>/<step>/
        entrypoint    the script
        output        what TORK_OUTPUT names
        progress      what TORK_PROGRESS names
        workdir/      where the step starts, with its files

A step may be any program under any user, and it controls everything below its own directory. So what is
read back is never trusted: no link is followed, nothing but a regular file is read, and no more than asked.
"""

import errno
import os
import shutil
import stat
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote

import structlog

from tork_celery.domain.errors import EngineUnavailable, StepFailed
from tork_celery.domain.model import StepRef
from tork_celery.runtime.protocol import MAX_RESULT_BYTES, Leftovers, StepRun

log = structlog.get_logger(__name__)

ENTRYPOINT = "entrypoint"
OUTPUT = "output"
PROGRESS = "progress"
WORKDIR = "workdir"

_FOR_ALL = 0o777  # images run as any user; `work_dir` itself keeps the users of this machine out
_FOR_ALL_TO_WRITE = 0o666
_FOR_ALL_TO_RUN = 0o755
_TO_ENTER = 0o111
_PROGRESS_BYTES = 64
_FAULTS_OF_THE_FILES = {
    errno.EEXIST,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
}


class Exchange:
    """The exchange directories of one node. Other nodes of this machine may share `work_dir`."""

    def __init__(self, *, work_dir: Path, node: str) -> None:
        self._work_dir = work_dir.absolute()
        self._home = self._work_dir / quote(node, safe="@,+=")

    def path(self, ref: StepRef) -> Path:
        return self._home / f"{ref.task_id}-{ref.delivery}" / str(ref.step)

    def exists(self, ref: StepRef) -> bool:
        return self.path(ref).exists()

    def create(self, run: StepRun, *, files: Mapping[str, str]) -> Path:
        """The directory of one step, with its script, and `files` in its work directory.

        Raises StepFailed for files that cannot be there, EngineUnavailable when the disk is at fault.
        """
        path = self.path(run.ref)
        with _faults(path):
            self._work_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            _make(path)
            _make(path / WORKDIR)
            for name in (OUTPUT, PROGRESS):
                _write(path / name, b"", _FOR_ALL_TO_WRITE)
            if run.definition.run is not None:
                _write(path / ENTRYPOINT, encoded(run.definition.run), _FOR_ALL_TO_RUN)
            write_files(path / WORKDIR, files)
        return path

    def output(self, ref: StepRef) -> bytes | None:
        """What the step wrote to TORK_OUTPUT, MAX_RESULT_BYTES and one byte at most."""
        return _read(self.path(ref) / OUTPUT, MAX_RESULT_BYTES + 1)

    def progress(self, ref: StepRef) -> float | None:
        text = _read(self.path(ref) / PROGRESS, _PROGRESS_BYTES) or b""
        try:
            number = float(text)
        except ValueError:
            return None
        return number if 0 <= number <= 100 else None  # noqa: PLR2004  a percentage

    def remove(self, ref: StepRef) -> None:
        _remove(self.path(ref))

    def remove_delivery(self, task_id: str, delivery: int) -> None:
        """Remove the directories of one delivery, also where another node of this machine made them."""
        for home in _listing(self._work_dir):
            _remove(self._work_dir / home / f"{task_id}-{delivery}")

    def leftovers(self) -> Iterator[Leftovers]:
        """Those that have a directory, of all nodes that share `work_dir`."""
        for home in _listing(self._work_dir):
            for name in _listing(self._work_dir / home):
                task_id, _, delivery = name.rpartition("-")
                if task_id and delivery.isdecimal():
                    yield Leftovers(unquote(home), task_id, int(delivery))


def encoded(text: str) -> bytes:
    """UTF-8; what JSON can say and UTF-8 cannot, half a surrogate pair, becomes a question mark."""
    return text.encode("utf-8", "replace")


def checked(name: str) -> PurePosixPath:
    """The path `name`, which stays below the directory that it is taken from. Raises StepFailed."""
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in name or name.endswith("/"):
        raise StepFailed(f"files: {name[:100]!r} is not the name of a file in the work directory")
    return path


def write_files(directory: Path, files: Mapping[str, str], *, mode: int = _FOR_ALL_TO_WRITE) -> None:
    """Write `files` below `directory`, over those that are there. Raises StepFailed, OSError."""
    for name, contents in files.items():
        path = checked(name)
        for parent in reversed(path.parents[:-1]):
            if not (directory / parent).is_dir():
                _make(directory / parent, mode | _TO_ENTER)
        _write(directory / path, encoded(contents), mode)


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeEncodeError) as error:
        if isinstance(error, UnicodeEncodeError) or error.errno in _FAULTS_OF_THE_FILES:
            raise StepFailed(f"files: they cannot be written: {_reason(error)}") from error
        raise EngineUnavailable(f"the directory {path} cannot be written: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _make(path: Path, mode: int = _FOR_ALL) -> None:
    path.mkdir()
    path.chmod(mode)  # whatever the umask


def _write(path: Path, contents: bytes, mode: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "wb") as file:
        os.fchmod(fd, mode)  # whatever the umask
        file.write(contents)


def _read(path: Path, limit: int) -> bytes | None:
    """The first `limit` bytes of a regular file. None for anything else that a step may have put there."""
    try:
        # A FIFO would block without O_NONBLOCK, a link could name any file of this machine.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:  # a link, or a file that its writer keeps to itself
        log.warning("runtime.file_not_read", path=str(path), reason=str(error))
        return None
    try:
        return os.read(fd, limit) if stat.S_ISREG(os.fstat(fd).st_mode) else None
    finally:
        os.close(fd)


def _listing(path: Path) -> list[str]:
    try:
        return [entry.name for entry in path.iterdir()]
    except FileNotFoundError:
        return []


def _remove(path: Path) -> None:
    """Remove a tree. A step may have taken away its own right to write there, or have put more directories
    into each other than can be followed."""
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return
    except (PermissionError, RecursionError):
        _flatten(path)
        shutil.rmtree(path)


def _flatten(top: Path) -> None:
    """Open all directories of a tree for its owner, and move them to its top. No link is followed."""
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
