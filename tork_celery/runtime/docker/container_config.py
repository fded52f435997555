"""How a step is written as the engine's container configuration."""

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from tork_celery.domain.definition import Limits
from tork_celery.domain.errors import StepFailed
from tork_celery.domain.quantities import memory_bytes, nano_cpus
from tork_celery.runtime.docker import mounts
from tork_celery.runtime.docker.networks import endpoints
from tork_celery.runtime.docker.resource_names import ResourceNames
from tork_celery.runtime.exchange import ENTRYPOINT, OUTPUT, PROGRESS, WORKDIR, checked, encoded
from tork_celery.runtime.protocol import StepRun

EXCHANGE = "/tork"
DEFAULT_WORKDIR = f"{EXCHANGE}/{WORKDIR}"
_SHELL = ("sh",)
_LOG_FILES = 2


def configuration(
    run: StepRun,
    *,
    names: ResourceNames,
    exchange: Path,
    log_limit_bytes: int,
    private_workdir: bool,
    bind_sources: Sequence[Path],
) -> dict[str, Any]:
    """The body of the engine's create call. Raises StepFailed.

    With `private_workdir` the work directory is a volume of the container, instead of a directory of this
    machine, where a container's root would leave what only root can remove.
    """
    mounted = [_bind(exchange), *mounts.of_step(run, names, bind_sources)]
    if private_workdir:
        mounted.append({"Type": "volume", "Target": DEFAULT_WORKDIR})
    return {
        "Image": run.definition.image,
        **_command(run),
        "Env": [f"{name}={value}" for name, value in environment(run).items()],
        **_start(run),
        "Labels": names.step_labels(run),
        **_first_network(run),
        "HostConfig": {
            "NetworkMode": next(iter(endpoints(run)), "default"),
            "Init": True,
            "Mounts": mounted,
            "LogConfig": {
                "Type": "json-file",
                "Config": {"max-size": str(log_limit_bytes), "max-file": str(_LOG_FILES)},
            },
            **_limits(run.limits),
            **_gpus(run.gpus),
        },
    }


def _start(run: StepRun) -> dict[str, Any]:
    """Where the step starts: where its image says, unless it says so itself or has files."""
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


def archive(files: Mapping[str, str], *, directory: str | None = None) -> bytes:
    """A tar archive of `files`, for everyone to read and write. Raises StepFailed.

    With a `directory`, a new one that holds them. Without, it names no directories: the engine makes those
    that are missing, and one that is there keeps its own rights.
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path in _directories(files, directory) if directory is not None else ():
            entry = tarfile.TarInfo(str(path))
            entry.type, entry.mode = tarfile.DIRTYPE, 0o777
            tar.addfile(entry)
        for name, text in files.items():
            contents = encoded(text)
            entry = tarfile.TarInfo(str(PurePosixPath(directory or "") / checked(name)))
            entry.size, entry.mode = len(contents), 0o666
            tar.addfile(entry, io.BytesIO(contents))
    return packed.getvalue()


def _directories(files: Mapping[str, str], top: str) -> list[PurePosixPath]:
    """All that hold `files`, the outer ones first."""
    found = {PurePosixPath(top)}
    for name in files:
        found.update(PurePosixPath(top) / parent for parent in checked(name).parents)
    return sorted(found)


def memory_limit(inspected: Mapping[str, Any]) -> str | None:
    """The memory limit of a container as a user would write it: 16m. None without a limit."""
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
        return {
            "Entrypoint": list(definition.entrypoint or _SHELL),
            "Cmd": [f"{EXCHANGE}/{ENTRYPOINT}", *definition.cmd],
        }
    command: dict[str, list[str]] = {}
    if definition.entrypoint:
        command["Entrypoint"] = list(definition.entrypoint)
    if definition.cmd:
        command["Cmd"] = list(definition.cmd)
    return command


def _first_network(run: StepRun) -> dict[str, Any]:
    """The engine takes one network for a new container, which is then connected to the others; that of
    `docker run` where the step has none."""
    for name, aliases in endpoints(run).items():
        endpoint = {"Aliases": aliases} if aliases else {}
        return {"NetworkingConfig": {"EndpointsConfig": {name: endpoint}}}
    return {}


def _bind(exchange: Path) -> dict[str, Any]:
    return {"Type": "bind", "Source": str(exchange), "Target": EXCHANGE}


def _limits(limits: Limits | None) -> dict[str, int]:
    settings: dict[str, int] = {}
    try:
        if limits and limits.cpus:
            settings["NanoCpus"] = nano_cpus(limits.cpus)
        if limits and limits.memory:
            # Swap counts too: without this a container may use as much again.
            settings["Memory"] = settings["MemorySwap"] = memory_bytes(limits.memory)
    except ValueError as error:
        raise StepFailed(f"limits: {error}") from error
    return settings


def _gpus(gpus: str | None) -> dict[str, Any]:
    """As Docker's `--gpus`: all, a number, or device=0,1, which Docker wants in quotes."""
    if not gpus:
        return {}
    gpus = gpus.strip('"').removeprefix("count=")
    request: dict[str, Any] = {"Driver": "", "Capabilities": [["gpu"]]}
    if gpus.startswith("device="):
        request["DeviceIDs"] = gpus.removeprefix("device=").split(",")
    else:
        request["Count"] = -1 if gpus == "all" else int(gpus)
    return {"DeviceRequests": [request]}
