"""What a worker allows the containers of tasks."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tork_celery.domain.definition import Limits
from tork_celery.domain.errors import StepFailed
from tork_celery.domain.quantities import memory_bytes, nano_cpus

DROPPED_CAPABILITIES = ("MKNOD", "NET_RAW")
DEFAULT_PIDS_LIMIT = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerPolicy:
    """The limits of all containers of a worker, which no task exceeds.

    - `bind_sources`: the paths of this host that tasks may mount, including everything below them.
    - `networks`: the networks that tasks may join; None allows all.
    - `pids_limit`: the number of processes and threads of a container; 0 is no limit.
    - `capabilities`: those of DROPPED_CAPABILITIES that containers keep.
    - `no_new_privileges`: whether setuid programs have no effect.
    - `max_cpus`, `max_memory`: the ceilings of a container's limits, as job files write them. They are the
      limits of a container without its own.
    """

    bind_sources: Sequence[Path] = ()
    networks: Sequence[str] | None = None
    pids_limit: int = DEFAULT_PIDS_LIMIT
    capabilities: Sequence[str] = ()
    no_new_privileges: bool = False
    max_cpus: str | None = None
    max_memory: str | None = None

    def check_networks(self, names: Sequence[str]) -> None:
        """Raise StepFailed when a task may not join one of its networks."""
        for name in names:
            if self.networks is not None and name not in self.networks:
                allowed = ", ".join(self.networks) or "none"
                raise StepFailed(
                    f'the network "{name}" is not allowed on this worker; its setting TORK_NETWORKS allows '
                    f"{allowed}"
                )

    def host_config(self, limits: Limits | None) -> dict[str, Any]:
        """Return the policy as a part of the engine's configuration of a container with these limits.

        Raises StepFailed when they are invalid or above a ceiling.
        """
        config: dict[str, Any] = {}
        if dropped := [name for name in DROPPED_CAPABILITIES if name not in self.capabilities]:
            config["CapDrop"] = dropped
        if self.pids_limit:
            config["PidsLimit"] = self.pids_limit
        if self.no_new_privileges:
            config["SecurityOpt"] = ["no-new-privileges"]
        try:
            return config | self._limits(limits or Limits())
        except ValueError as error:
            raise StepFailed(f"limits: {error}") from error

    def limits_memory(self, limits: Limits | None) -> bool:
        """Return whether a container with these limits has a memory limit."""
        return bool(self.max_memory or (limits and limits.memory))

    def _limits(self, limits: Limits) -> dict[str, int]:
        cpus = _bounded("cpus", limits.cpus, self.max_cpus, nano_cpus)
        memory = _bounded("memory", limits.memory, self.max_memory, memory_bytes)
        config: dict[str, int] = {}
        if cpus is not None:
            # The engine refuses more than the machine has, which a ceiling may be.
            config["NanoCpus"] = cpus if limits.cpus else min(cpus, nano_cpus(str(os.cpu_count() or 1)))
        if memory is not None:
            # Without MemorySwap the container may use the same amount of swap in addition.
            config |= {"Memory": memory, "MemorySwap": memory}
        return config


def _bounded(
    limit: str, requested: str | None, ceiling: str | None, parse: Callable[[str], int]
) -> int | None:
    """Return the requested amount, by default the ceiling. Raises StepFailed above it, ValueError."""
    most = parse(ceiling) if ceiling else None
    if not requested:
        return most
    amount = parse(requested)
    if most is not None and amount > most:
        raise StepFailed(
            f"limits.{limit}: {requested} is more than the {ceiling} that this worker allows; its setting "
            f"TORK_MAX_{limit.upper()} says so"
        )
    return amount
