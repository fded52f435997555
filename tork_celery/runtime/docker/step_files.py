"""The files of a step: how they get into its container, and how its result and progress are read."""

import os
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from tork_celery.domain.errors import StepFailed
from tork_celery.domain.model import StepRef
from tork_celery.runtime.docker.archives import FILE_MODE, SCRIPT_MODE, Entry, new_directory, new_file
from tork_celery.runtime.docker.container_config import EXCHANGE
from tork_celery.runtime.docker.container_files import ContainerFiles
from tork_celery.runtime.docker.engine_api import EngineApi, ObjectMissing
from tork_celery.runtime.docker.mounts import mount_of, tmpfs_mode
from tork_celery.runtime.docker.network_files import NetworkFiles
from tork_celery.runtime.docker.progress_polls import ProgressPolls
from tork_celery.runtime.docker.resource_names import ResourceNames
from tork_celery.runtime.exchange import (
    ENTRYPOINT,
    MAX_PROGRESS_BYTES,
    OUTPUT,
    PROGRESS,
    WORKDIR,
    Exchange,
    NotRegularFile,
    encode,
    parse_progress,
    relative_path,
)
from tork_celery.runtime.protocol import MAX_RESULT_BYTES, StepRun

_EXCHANGE_PATH = PurePosixPath(EXCHANGE)
_ROOT_USERS = {"", "0", "root"}


@dataclass(slots=True, kw_only=True)
class StepFiles:
    """The files of the steps of one node.

    By default `/tork` in a container is the exchange directory, which is mounted. With `in_container` it is a
    directory of the container itself: a worker that is not root could neither read nor remove what the
    container's root user writes to a directory of this host.
    """

    api: EngineApi
    names: ResourceNames
    exchange: Exchange
    in_container: bool
    _files: ContainerFiles = field(init=False)
    _polls: ProgressPolls = field(init=False)

    def __post_init__(self) -> None:
        self._files = ContainerFiles(self.api)
        self._polls = ProgressPolls(self._read_progress)

    def exists(self, ref: StepRef) -> bool:
        """Return whether this host has files of the step."""
        return self.exchange.exists(ref)

    def prepare(self, run: StepRun) -> list[dict[str, Any]]:
        """Write the files of a step to this host. Return the mounts by which its container sees them.

        Raises StepFailed for invalid file names, EngineUnavailable when this host cannot write.
        """
        mounts = []
        if not self.in_container:
            workdir = _below_exchange(run)
            files = {} if workdir is None else run.definition.files
            path = self.exchange.create(run, files=files, workdir=workdir or WORKDIR)
            mounts.append(_bind(path, EXCHANGE))
        if run.workdir and run.definition.files and _is_tmpfs(run, run.workdir):
            # A tmpfs is made when the container starts, so its files have to be mounted too.
            path = self.exchange.create_files(run.ref, run.definition.files)
            for name in run.definition.files:
                relative = relative_path(name)
                mounts.append(_bind(path / relative, str(PurePosixPath(run.workdir) / relative)))
        return mounts

    def prepare_network(self, run: StepRun, files: NetworkFiles) -> list[dict[str, Any]]:
        """Write the step's own copies of these files to this host. Return the mounts, after `prepare`.

        Raises EngineUnavailable when this host cannot write.
        """
        directory = self.exchange.create_network_files(run.ref, files.by_name)
        return files.mounts(directory, taken={os.path.normpath(mount.target or "") for mount in run.mounts})

    def fill(self, run: StepRun) -> None:
        """Write the other files into the new container, and let every user write to its directories.

        Raises StepFailed for invalid file names and directories.
        """
        name = self.names.container(run.ref)
        if self.in_container:
            self._files.write(name, _own_entries(run))
        for mount in run.mounts:
            if mount.type == "tmpfs" and mount.target:
                # Some engines give a tmpfs the permissions of the directory under it, whatever its mode is.
                self._files.set_mode(name, PurePosixPath(mount.target), tmpfs_mode(mount))
        own_workdir = run.workdir if _below_exchange(run) is None else None
        if not own_workdir and not any(mount.type == "volume" for mount in run.mounts):
            return
        container = self.api.inspect(name)
        if container is None:
            raise ObjectMissing(f"no such container: {name}")
        self._open_volumes(run, container)
        if own_workdir and not _is_tmpfs(run, own_workdir):
            self._fill_workdir(run, own_workdir, user=container["Config"]["User"])

    def output(self, ref: StepRef) -> bytes | None:
        """Return what the step wrote to TORK_OUTPUT, at most MAX_RESULT_BYTES + 1 bytes. None without a file.

        Raises NotRegularFile.
        """
        try:
            written = self.exchange.output(ref)
        except PermissionError:
            written = None
        if written is not None:
            return written
        return self._read(ref, OUTPUT, limit_bytes=MAX_RESULT_BYTES + 1)

    def progress(self, ref: StepRef) -> float | None:
        """Return the percentage that the step last wrote to TORK_PROGRESS, or an earlier one. Never waits."""
        if self.in_container:
            return self._polls.latest(ref)
        return self.exchange.progress(ref)

    def remove(self, ref: StepRef) -> None:
        """Remove the files of a step from this host."""
        self._polls.forget(ref)
        self.exchange.remove(ref)

    def close(self) -> None:
        self._polls.close()

    def _open_volumes(self, run: StepRun, container: dict[str, Any]) -> None:
        names = {
            self.names.volume(run.ref.task_id, run.ref.delivery, index) for index in range(len(run.mounts))
        }
        for mount in container["Mounts"]:
            if mount["Type"] == "volume" and mount["Name"] in names:
                self._files.open_volume(container["Id"], mount)

    def _fill_workdir(self, run: StepRun, workdir: str, *, user: str) -> None:
        files = run.definition.files
        is_root = user.partition(":")[0] in _ROOT_USERS
        if is_root and not files:
            return
        name = self.names.container(run.ref)
        place = self._files.locate(name, workdir)
        path = str(place.path)
        if files and _is_tmpfs(run, path):
            raise StepFailed(
                f"workdir {workdir} is {path}, in a file system in memory, to which no files can be written "
                f"before the start; name {path} instead"
            )
        mount = mount_of(run, path)
        open_to_all = not is_root and (mount is None or mount.type == "volume")
        self._files.write_files(name, place, files, open_to_all=open_to_all)

    def _read_progress(self, ref: StepRef) -> float | None:
        try:
            text = self._read(ref, PROGRESS, limit_bytes=MAX_PROGRESS_BYTES)
        except NotRegularFile:
            return None
        return parse_progress(text or b"")

    def _read(self, ref: StepRef, name: str, *, limit_bytes: int) -> bytes | None:
        return self._files.read(self.names.container(ref), f"{EXCHANGE}/{name}", limit_bytes=limit_bytes)


def files_belong_in_container(work_dir: Path) -> bool:
    """Return whether containers cannot use directories of this host.

    This user could not remove what their root user writes there, or the file system executes no scripts.
    """
    while not work_dir.exists() and work_dir != work_dir.parent:
        work_dir = work_dir.parent
    return os.geteuid() != 0 or bool(os.statvfs(work_dir).f_flag & os.ST_NOEXEC)


def _own_entries(run: StepRun) -> list[Entry]:
    """Return `/tork` of a container that has no exchange directory."""
    top = PurePosixPath(_EXCHANGE_PATH.name)
    workdir = _below_exchange(run)
    files = {
        top / (workdir or "") / relative_path(name): encode(text)
        for name, text in (run.definition.files if workdir is not None else {}).items()
    }
    directories = {top, top / WORKDIR, *(path for file in files for path in file.parents)}
    entries = [new_directory(path) for path in sorted(directories - {PurePosixPath(".")})]
    entries += [new_file(path, contents) for path, contents in files.items()]
    entries += [new_file(top / name, b"", mode=FILE_MODE) for name in (OUTPUT, PROGRESS)]
    if run.definition.run is not None:
        entries.append(new_file(top / ENTRYPOINT, encode(run.definition.run), mode=SCRIPT_MODE))
    return entries


def _below_exchange(run: StepRun) -> str | None:
    """Return the path of the work directory below `/tork`; None when it is elsewhere."""
    path = PurePosixPath(os.path.normpath(run.workdir)) if run.workdir else _EXCHANGE_PATH / WORKDIR
    return str(path.relative_to(_EXCHANGE_PATH)) if path.is_relative_to(_EXCHANGE_PATH) else None


def _is_tmpfs(run: StepRun, path: str) -> bool:
    mount = mount_of(run, path)
    return mount is not None and mount.type == "tmpfs"


def _bind(source: Path, target: str) -> dict[str, Any]:
    return {"Type": "bind", "Source": str(source), "Target": target}
