"""The mounts of a task, as the engine's configuration."""

import os.path
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tork_celery.domain.definition import Mount
from tork_celery.domain.errors import StepFailed
from tork_celery.domain.quantities import size_bytes
from tork_celery.runtime.docker.resource_names import ResourceNames
from tork_celery.runtime.protocol import StepRun


def mount_configs(run: StepRun, names: ResourceNames, bind_sources: Sequence[Path]) -> list[dict[str, Any]]:
    """Return the mounts of a step.

    Bind mounts are restricted to `bind_sources` and the paths below them. Raises StepFailed.
    """
    return [_mount(run, names, index, mount, bind_sources) for index, mount in enumerate(run.mounts)]


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
    options: dict[str, int] = {}
    try:
        if size := mount.opts.get("size"):
            options["SizeBytes"] = size_bytes(size)
        if mode := mount.opts.get("mode"):
            options["Mode"] = int(mode, 8)
    except ValueError as error:
        raise StepFailed(f"the tmpfs at {mount.target}: {error}") from error
    return options
