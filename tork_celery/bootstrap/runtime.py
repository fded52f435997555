"""The runtime that the settings name."""

import os

from tork_celery.domain.definition import Defaults, Limits
from tork_celery.domain.errors import ConfigurationError
from tork_celery.runtime.protocol import Runtime
from tork_celery.settings import Settings


def build_runtime(settings: Settings, *, cluster: str, node: str, slots: int) -> Runtime:
    work_dir = settings.data_dir / "work"
    # Imported here: importing the SDK of the engine, which the shell runtime does not need, takes 0.2 s.
    if settings.runtime == "shell":
        from tork_celery.runtime.shell import ShellRuntime  # noqa: PLC0415

        return ShellRuntime(
            work_dir=work_dir,
            node=node,
            environ=os.environ,
            shell=settings.shell,
            allow_root=settings.shell_allow_root,
        )
    from tork_celery.runtime.docker import DockerRuntime  # noqa: PLC0415
    from tork_celery.runtime.docker.policy import ContainerPolicy  # noqa: PLC0415

    return DockerRuntime(
        cluster=cluster,
        node=node,
        work_dir=work_dir,
        url=settings.docker_url or None,
        log_limit_bytes=settings.log_limit_bytes,
        pull_timeout_s=settings.pull_timeout_s,
        pool_size=slots,
        policy=ContainerPolicy(
            bind_sources=settings.bind_sources,
            networks=settings.networks,
            pids_limit=settings.pids_limit,
            capabilities=settings.capabilities,
            no_new_privileges=settings.no_new_privileges,
            max_cpus=settings.max_cpus or None,
            max_memory=settings.max_memory or None,
        ),
        pull_always=settings.pull == "always",
        image_ttl_s=settings.image_ttl_s,
        sandbox=settings.sandbox,
    )


def task_defaults(settings: Settings) -> Defaults:
    """Return the limits and the timeout of tasks that set none. Raises ConfigurationError."""
    cpus, memory = settings.default_cpus or None, settings.default_memory or None
    if settings.runtime == "shell" and (cpus or memory or settings.max_cpus or settings.max_memory):
        raise ConfigurationError(
            "TORK_DEFAULT_CPUS, TORK_DEFAULT_MEMORY, TORK_MAX_CPUS and TORK_MAX_MEMORY: the shell runtime "
            "cannot limit its steps; unset them"
        )
    limits = Limits(cpus=cpus, memory=memory) if cpus or memory else None
    return Defaults(limits=limits, timeout=settings.default_timeout or None)
