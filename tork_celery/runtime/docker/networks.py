"""The networks of a step: those that its task names, and a private one that it shares with its sidecars."""

import re
from dataclasses import dataclass

from tork_celery.domain.errors import StepFailed
from tork_celery.runtime.docker.engine_api import EngineApi
from tork_celery.runtime.docker.resource_names import TASK, ResourceNames
from tork_celery.runtime.protocol import SidecarRun, StepRun

_NOT_IN_A_HOSTNAME = re.compile(r"[^a-z0-9_]+")
_MAX_LABEL_LENGTH = 63  # RFC 1035
# What resolvers read as an IPv4 address, such as 0.0.0.123, or find in /etc/hosts.
_NOT_A_NAME = re.compile(r"[0-9]+|0x[0-9a-f]*|localhost", re.ASCII)
_DEFAULT_NETWORK = "bridge"  # supports no aliases
_FORBIDDEN_DRIVERS = {"host", "null"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Networks:
    """The networks of one engine."""

    api: EngineApi
    names: ResourceNames

    def prepare(self, run: StepRun) -> None:
        """Check the networks that a step names, and create the private network of a step with sidecars.

        Raises StepFailed when a network does not exist or may not be joined, or when the host names of the
        sidecars are empty or the same.
        """
        for name in run.networks:
            self._check(name)
        if run.sidecars:
            _check_hostnames(run)
            self.api.create_network(private_network(run), self.names.delivery_labels(run))

    def _check(self, name: str) -> None:
        network = self.api.network(name)
        # The engine also accepts ids, by which a task could join networks that it may not name.
        if network is None or network["Name"] != name:
            raise StepFailed(
                f'the network "{name}" does not exist: create it on the worker\'s host with '
                f"docker network create {name}"
            )
        if network["Driver"] in _FORBIDDEN_DRIVERS or TASK in (network["Labels"] or {}):
            raise StepFailed(f'the network "{name}" cannot be joined by a task')


def endpoints(run: StepRun) -> dict[str, list[str]]:
    """Return the networks of a step's container, each with the host names of the container there.

    A container is created in the first network and then connected to the others. Sidecars have a host name
    only in the private network: sidecars of other tasks may have the same name in a shared network.
    """
    alias = hostname(run.definition.name or "")
    if isinstance(run, SidecarRun):
        return {private_network(run): [alias], **{name: [] for name in run.networks}}
    aliases = [alias] if alias else []
    named = {name: [] if name == _DEFAULT_NETWORK else aliases for name in run.networks}
    if not run.sidecars:
        return named
    taken = {hostname(sidecar.definition.name or "") for sidecar in run.sidecars}
    return {private_network(run): [alias for alias in aliases if alias not in taken], **named}


def private_network(run: StepRun) -> str:
    """Return the name of the network that a step shares with its sidecars."""
    return ResourceNames.network(run.ref.task_id, run.ref.delivery)


def hostname(name: str) -> str:
    """Return the host name for the name of a step: `My DB` becomes `my-db`."""
    return _NOT_IN_A_HOSTNAME.sub("-", name.lower()).strip("-")[:_MAX_LABEL_LENGTH].rstrip("-")


def _check_hostnames(run: StepRun) -> None:
    seen = set[str]()
    for sidecar in run.sidecars:
        name = sidecar.definition.name or ""
        alias = hostname(name)
        if not alias:
            raise StepFailed(
                f'the sidecar "{name}" has no host name: give it a name with a letter or a digit'
            )
        if _NOT_A_NAME.fullmatch(alias):
            meaning = "the container itself" if alias == "localhost" else "an address"
            raise StepFailed(
                f'the sidecar "{name}" cannot be reached: its host name "{alias}" means {meaning}; give it '
                "another name"
            )
        if alias in seen:
            raise StepFailed(f'two sidecars have the host name "{alias}": give them different names')
        seen.add(alias)
