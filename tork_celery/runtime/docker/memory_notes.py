"""Whether a step exceeded its memory limit, as the kernel or the engine reports it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tork_celery.domain.model import StepRef
from tork_celery.runtime.docker.container_config import memory_limit
from tork_celery.runtime.docker.engine_api import EngineApi
from tork_celery.runtime.docker.oom_watcher import OomWatcher
from tork_celery.runtime.docker.resource_names import ResourceNames


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryNotes:
    """The notes on the memory of the steps of one node. Raises as `EngineApi` does."""

    api: EngineApi
    names: ResourceNames
    _watcher: OomWatcher = field(default_factory=OomWatcher, init=False)

    @contextmanager
    def watching_start(self, ref: StepRef) -> Iterator[None]:
        """Watch a container with a memory limit, which the body of this context starts."""
        container = self.api.inspect(self.names.container(ref))
        if container is not None:
            self._watcher.expect(ref, container["Id"])
        yield
        if container is not None:
            self._watcher.watch(ref, container["Id"], lambda: self._pid(ref))

    def watch(self, ref: StepRef, container: Mapping[str, Any]) -> None:
        """Watch a container that was started before, if it has a memory limit."""
        if memory_limit(container):
            self._watcher.watch(ref, container["Id"], lambda: container["State"]["Pid"])

    def note(self, ref: StepRef, code: int) -> str | None:
        """Return that a process of an ended step was killed because the step exceeded its memory limit.

        The kernel and the engine both report that, or one of them: neither does in every case.
        """
        killed = self._watcher.was_killed(ref)
        if not killed and code == 0:
            return None
        container = self.api.inspect(self.names.container(ref))
        if container is None or not (killed or container["State"]["OOMKilled"]):
            return None
        limit = memory_limit(container)
        reason = f"exceeded its memory limit of {limit}" if limit else "the machine ran out of memory"
        return reason if code else f"a process of the step was killed: {reason}"

    def forget(self, ref: StepRef) -> None:
        self._watcher.forget(ref)

    def close(self) -> None:
        self._watcher.close()

    def _pid(self, ref: StepRef) -> int:
        container = self.api.inspect(self.names.container(ref))
        return container["State"]["Pid"] if container is not None else 0
