"""The networks of a step: those that a task names, and the private one of a main step with sidecars."""

import re
from dataclasses import dataclass

from tork_celery.domain.errors import StepFailed
from tork_celery.runtime.docker.engine_api import EngineApi
from tork_celery.runtime.docker.resource_names import TASK, ResourceNames
from tork_celery.runtime.protocol import SidecarRun, StepRun

_NOT_IN_A_SLUG = re.compile(r"[^a-z0-9_]+")
_LONGEST_LABEL = 63  # of a name in DNS
_DEFAULT = "bridge"  # knows no names
_OF_THE_MACHINE = {"host", "null"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Networks:
    """Those of one engine. A container is made in the first of its networks and joins the others."""

    api: EngineApi
    names: ResourceNames

    def prepare(self, run: StepRun) -> None:
        """Make the private network of a step that needs one. Raises StepFailed when a network that the step
        names is not there, or no sidecar can be reached by its name."""
        for name in run.networks:
            self._check(name)
        if run.sidecars:
            _check_names(run)
            self.api.create_network(private(run), self.names.delivery_labels(run))

    def _check(self, name: str) -> None:
        found = self.api.network(name)
        # The engine also finds a network by its id: one that may not be named could be joined by that.
        if found is None or found["Name"] != name:
            raise StepFailed(
                f'the network "{name}" is not there: make it on the worker\'s machine, '
                f"docker network create {name}"
            )
        if found["Driver"] in _OF_THE_MACHINE or TASK in (found["Labels"] or {}):
            raise StepFailed(f'the network "{name}" is none that a task can join')


def endpoints(run: StepRun) -> dict[str, list[str]]:
    """The networks of a step's container, and the names under which others find it there.

    Sidecars have theirs in the private network alone: in a shared one another task may have a `db`, too.
    """
    alias = slug(run.definition.name or "")
    if isinstance(run, SidecarRun):
        return {private(run): [alias], **{name: [] for name in run.networks}}
    aliases = [alias] if alias else []
    joined = {name: [] if name == _DEFAULT else aliases for name in run.networks}
    if not run.sidecars:
        return joined
    taken = {slug(sidecar.definition.name or "") for sidecar in run.sidecars}
    return {private(run): [alias for alias in aliases if alias not in taken], **joined}


def private(run: StepRun) -> str:
    """The network of a main step and its sidecars."""
    return ResourceNames.network(run.ref.task_id, run.ref.delivery)


def slug(name: str) -> str:
    """The name as one of a host: `My DB` is `my-db`."""
    return _NOT_IN_A_SLUG.sub("-", name.lower()).strip("-")[:_LONGEST_LABEL].rstrip("-")


def _check_names(run: StepRun) -> None:
    slugs = set[str]()
    for sidecar in run.sidecars:
        name = sidecar.definition.name or ""
        alias = slug(name)
        if not alias:
            raise StepFailed(f'the sidecar "{name}" needs a name with a letter or a digit, to be reached by')
        if alias in slugs:
            raise StepFailed(f'two sidecars would be reached by the name "{alias}"; give them other names')
        slugs.add(alias)
