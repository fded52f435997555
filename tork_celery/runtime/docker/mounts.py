"""The mounts of a task, as the engine's configuration."""

import os.path
import posixpath
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from tork_celery.domain.definition import Mount
from tork_celery.domain.errors import StepFailed
from tork_celery.domain.quantities import size_bytes
from tork_celery.runtime.docker.resource_names import ResourceNames
from tork_celery.runtime.protocol import StepRun

_TMPFS_MODE = "1777"
# File systems in memory, which the engine mounts when a container starts.
_ENGINE_MOUNTS = tuple(Mount(type="tmpfs", target=path) for path in ("/dev", "/proc", "/sys"))


def mount_configs(run: StepRun, names: ResourceNames, bind_sources: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the mounts of a step.

    Bind mounts are restricted to `bind_sources` and the paths below them. Raises StepFailed.
    """
    return [_mount(run, names, index, mount, bind_sources) for index, mount in enumerate(run.mounts)]


def mount_of(run: StepRun, path: str) -> Mount | None:
    """Return the mount in which a path of the container is, one of the engine's own included."""
    parts = PurePosixPath(_normal(path))
    mounts = [
        mount for mount in (*_ENGINE_MOUNTS, *run.mounts) if parts.is_relative_to(_normal(mount.target))
    ]
    return max(mounts, key=lambda mount: len(PurePosixPath(_normal(mount.target)).parts), default=None)


def resolve_bind_source(source: str, bind_sources: Sequence[Path]) -> str:
    """Return the source of a bind mount with links and `..` resolved, as the engine is to see it.

    Raises StepFailed when it is not below any of `bind_sources`.
    """
    resolved = os.path.realpath(source)
    if any(Path(resolved).is_relative_to(os.path.realpath(path)) for path in bind_sources):
        return resolved
    what = f'"{source}"' if resolved == source else f'"{source}", which is "{resolved}",'
    allowed = ", ".join(map(str, bind_sources)) or "none"
    raise StepFailed(
        f"the bind mount of {what} is not allowed on this worker; "
        f"its setting TORK_BIND_SOURCES allows {allowed}"
    )


def tmpfs_mode(mount: Mount) -> int:
    """Return the permissions of a tmpfs. Raises ValueError."""
    return int(mount.opts.get("mode") or _TMPFS_MODE, 8)


def _normal(path: str | None) -> str:
    return posixpath.normpath("/" + (path or "").lstrip("/"))


def _mount(
    run: StepRun, names: ResourceNames, index: int, mount: Mount, bind_sources: Sequence[Path]
) -> dict[str, Any]:
    if mount.type == "volume" and mount.target:
        return _volume(run, names, index, mount)
    if mount.type == "tmpfs" and mount.target:
        return {"Type": "tmpfs", "Target": mount.target, "TmpfsOptions": _tmpfs_options(mount)}
    if mount.type == "bind" and mount.source and mount.target:
        source = resolve_bind_source(mount.source, bind_sources)
        return {"Type": "bind", "Source": source, "Target": mount.target}
    needed = "a source and a target" if mount.type == "bind" else "a target"
    raise StepFailed(f"mounts[{index}]: a mount of type {mount.type} needs {needed}")


def _volume(run: StepRun, names: ResourceNames, index: int, mount: Mount) -> dict[str, Any]:
    """Return the mount of a named volume, which the engine creates with the first container that has it."""
    return {
        "Type": "volume",
        "Source": names.volume(run.ref.task_id, run.ref.delivery, index),
        "Target": mount.target,
        "VolumeOptions": {"Labels": names.step_labels(run)},
    }


def _tmpfs_options(mount: Mount) -> dict[str, int]:
    try:
        options = {"Mode": tmpfs_mode(mount)}
        if size := mount.opts.get("size"):
            options["SizeBytes"] = size_bytes(size)
    except ValueError as error:
        raise StepFailed(f"the tmpfs at {mount.target}: {error}") from error
    return options
