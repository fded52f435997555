"""The mounts of a task as the engine takes them."""

import os.path
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tork_celery.domain.definition import Mount
from tork_celery.domain.errors import StepFailed
from tork_celery.domain.quantities import size_bytes
from tork_celery.runtime.docker.resource_names import ResourceNames
from tork_celery.runtime.protocol import StepRun


def of_step(run: StepRun, names: ResourceNames, bind_sources: Sequence[Path]) -> list[dict[str, Any]]:
    """All of a step; `bind_sources` are what may be bound, with all below them. Raises StepFailed."""
    return [_mount(run, names, index, mount, bind_sources) for index, mount in enumerate(run.mounts)]


def _mount(
    run: StepRun, names: ResourceNames, index: int, mount: Mount, bind_sources: Sequence[Path]
) -> dict[str, Any]:
    if mount.type == "volume" and mount.target:
        return _volume(run, names, index, mount)
    if mount.type == "tmpfs" and mount.target:
        return {"Type": "tmpfs", "Target": mount.target, "TmpfsOptions": _tmpfs_options(mount)}
    if mount.type == "bind" and mount.source and mount.target:
        return {"Type": "bind", "Source": allowed(mount.source, bind_sources), "Target": mount.target}
    needed = "a source and a target" if mount.type == "bind" else "a target"
    raise StepFailed(f"mounts[{index}]: a mount of type {mount.type} needs {needed}")


def _volume(run: StepRun, names: ResourceNames, index: int, mount: Mount) -> dict[str, Any]:
    """The engine makes a volume with the first container that names it."""
    return {
        "Type": "volume",
        "Source": names.volume(run.ref.task_id, run.ref.delivery, index),
        "Target": mount.target,
        "VolumeOptions": {"Labels": names.delivery_labels(run)},
    }


def _tmpfs_options(mount: Mount) -> dict[str, int]:
    options: dict[str, int] = {}
    try:
        if size := mount.opts.get("size"):
            options["SizeBytes"] = size_bytes(size)
        if mode := mount.opts.get("mode"):
            options["Mode"] = int(mode, 8)
    except ValueError as error:
        raise StepFailed(f"the tmpfs at {mount.target}: {error}") from error
    return options


def allowed(source: str, bind_sources: Sequence[Path]) -> str:
    """The source of a bind mount without links and `..`, as the engine is to see it. Raises StepFailed when
    it is not below what may be bound."""
    resolved = os.path.realpath(source)
    if any(Path(resolved).is_relative_to(os.path.realpath(path)) for path in bind_sources):
        return resolved
    what = f'"{source}"' if resolved == source else f'"{source}", which is "{resolved}",'
    those = ", ".join(map(str, bind_sources)) or "none"
    raise StepFailed(
        f"the bind mount of {what} is not allowed on this worker; "
        f"its setting TORK_BIND_SOURCES allows {those}"
    )
