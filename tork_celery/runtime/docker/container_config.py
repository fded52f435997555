"""The engine's container configuration for a step."""

from collections.abc import Mapping, Sequence
from typing import Any

from tork_celery.runtime.docker.mounts import mount_configs
from tork_celery.runtime.docker.networks import endpoints
from tork_celery.runtime.docker.policy import ContainerPolicy
from tork_celery.runtime.docker.resource_names import ResourceNames
from tork_celery.runtime.entrypoints import DEFAULT_ENTRYPOINT, script_arguments
from tork_celery.runtime.exchange import ENTRYPOINT, OUTPUT, PROGRESS, WORKDIR
from tork_celery.runtime.protocol import StepRun

EXCHANGE = "/tork"  # where the exchange directory is mounted
DEFAULT_WORKDIR = f"{EXCHANGE}/{WORKDIR}"
_LOG_FILES = 2


def container_config(
    run: StepRun,
    *,
    names: ResourceNames,
    mounts: Sequence[Mapping[str, Any]],
    log_limit_bytes: int,
    policy: ContainerPolicy,
    network_mode: str | None = None,
) -> dict[str, Any]:
    """Return the body of the engine's create request. Raises StepFailed.

    `mounts` are those by which the container sees its files, beside the mounts of the task. `network_mode` is
    set for a container that joins the network of another one.
    """
    return {
        "Image": run.definition.image,
        **_command(run),
        "Env": [f"{name}={value}" for name, value in environment(run).items()],
        **_working_directory(run),
        "Labels": names.step_labels(run),
        **_first_network(run),
        "HostConfig": {
            "NetworkMode": network_mode or next(iter(endpoints(run)), "default"),
            "Init": True,
            "Mounts": [*mounts, *mount_configs(run, names, policy.bind_sources)],
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
