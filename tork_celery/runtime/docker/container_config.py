"""The engine's container configuration for a step."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from tork_celery.runtime.docker.mounts import mount_configs
from tork_celery.runtime.docker.networks import endpoints
from tork_celery.runtime.docker.policy import ContainerPolicy
from tork_celery.runtime.docker.resource_names import ResourceNames
from tork_celery.runtime.entrypoints import DEFAULT_ENTRYPOINT, script_arguments
from tork_celery.runtime.exchange import ENTRYPOINT, OUTPUT, PROGRESS, WORKDIR, encode, relative_path
from tork_celery.runtime.protocol import StepRun

EXCHANGE = "/tork"  # where the exchange directory is mounted
DEFAULT_WORKDIR = f"{EXCHANGE}/{WORKDIR}"
_LOG_FILES = 2


def container_config(
    run: StepRun,
    *,
    names: ResourceNames,
    exchange: Path,
    log_limit_bytes: int,
    private_workdir: bool,
    policy: ContainerPolicy,
) -> dict[str, Any]:
    """Return the body of the engine's create request. Raises StepFailed.

    With `private_workdir` the work directory is an anonymous volume of the container, not a part of the
    directory `exchange`, where the container's root user would create files that only root can remove.
    """
    mounts = [_exchange_mount(exchange), *mount_configs(run, names, policy.bind_sources)]
    if private_workdir:
        mounts.append(
            {
                "Type": "volume",
                "Target": DEFAULT_WORKDIR,
                "VolumeOptions": {"Labels": names.delivery_labels(run)},
            }
        )
    return {
        "Image": run.definition.image,
        **_command(run),
        "Env": [f"{name}={value}" for name, value in environment(run).items()],
        **_working_directory(run),
        "Labels": names.step_labels(run),
        **_first_network(run),
        "HostConfig": {
            "NetworkMode": next(iter(endpoints(run)), "default"),
            "Init": True,
            "Mounts": mounts,
            "LogConfig": {
                "Type": "json-file",
                "Config": {"max-size": str(log_limit_bytes), "max-file": str(_LOG_FILES)},
            },
            **policy.host_config(run.limits),
            **_gpus(run.gpus),
        },
    }


def _working_directory(run: StepRun) -> dict[str, Any]:
    """Return the directory in which the step starts. Empty for that of the image."""
    directory = run.workdir or (DEFAULT_WORKDIR if run.definition.files else None)
    return {} if directory is None else {"WorkingDir": directory}


def environment(run: StepRun) -> dict[str, str]:
    return {
        **run.env,
        "TORK_OUTPUT": f"{EXCHANGE}/{OUTPUT}",
        "TORK_PROGRESS": f"{EXCHANGE}/{PROGRESS}",
        "TORK_TASK_ID": run.ref.task_id,
        "TORK_JOB_ID": run.job_id,
    }


def tar_archive(files: Mapping[str, str], *, directory: str | None = None) -> bytes:
    """Return a tar archive of `files`, which everyone may read and write. Raises StepFailed.

    With a `directory`, the archive creates it and holds the files below it. Without, the archive has no
    entries for directories: the engine creates missing ones, and existing ones keep their permissions.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in _directories(files, directory) if directory is not None else ():
            entry = tarfile.TarInfo(str(path))
            entry.type, entry.mode = tarfile.DIRTYPE, 0o777
            tar.addfile(entry)
        for name, text in files.items():
            contents = encode(text)
            entry = tarfile.TarInfo(str(PurePosixPath(directory or "") / relative_path(name)))
            entry.size, entry.mode = len(contents), 0o666
            tar.addfile(entry, io.BytesIO(contents))
    return buffer.getvalue()


def _directories(files: Mapping[str, str], top: str) -> list[PurePosixPath]:
    """Return `top` and all directories of `files` below it, parents first."""
    directories = {PurePosixPath(top)}
    for name in files:
        directories.update(PurePosixPath(top) / parent for parent in relative_path(name).parents)
    return sorted(directories)


def memory_limit(inspected: Mapping[str, Any]) -> str | None:
    """Return the memory limit of a container as users write it, for example 16m. None without a limit."""
    size: int = inspected["HostConfig"]["Memory"]
    if not size:
        return None
    for unit in ("", "k", "m", "g"):
        if size % 1024 or unit == "g":
            return f"{size}{unit}"
        size //= 1024
    raise AssertionError


def _command(run: StepRun) -> dict[str, list[str]]:
    definition = run.definition
    if definition.run is not None:
        entrypoint = definition.entrypoint or DEFAULT_ENTRYPOINT
        arguments = script_arguments(entrypoint, f"{EXCHANGE}/{ENTRYPOINT}", definition.cmd)
        return {"Entrypoint": list(entrypoint), "Cmd": arguments}
    command: dict[str, list[str]] = {}
    if definition.entrypoint:
        command["Entrypoint"] = list(definition.entrypoint)
    if definition.cmd:
        command["Cmd"] = list(definition.cmd)
    return command


def _first_network(run: StepRun) -> dict[str, Any]:
    """Return the first network: the engine accepts only one at creation. Empty for the engine's default."""
    for name, aliases in endpoints(run).items():
        endpoint = {"Aliases": aliases} if aliases else {}
        return {"NetworkingConfig": {"EndpointsConfig": {name: endpoint}}}
    return {}


def _exchange_mount(exchange: Path) -> dict[str, Any]:
    return {"Type": "bind", "Source": str(exchange), "Target": EXCHANGE}


def _gpus(gpus: str | None) -> dict[str, Any]:
    """Return the request for `--gpus` of `docker run`: all, a number, or device=0,1 (also in quotes)."""
    if not gpus:
        return {}
    gpus = gpus.strip('"').removeprefix("count=")
    request: dict[str, Any] = {"Driver": "", "Capabilities": [["gpu"]]}
    if gpus.startswith("device="):
        request["DeviceIDs"] = gpus.removeprefix("device=").split(",")
    else:
        request["Count"] = -1 if gpus == "all" else int(gpus)
    return {"DeviceRequests": [request]}
