"""What this process made for the deliveries that it runs, so that it need not search the engine for it."""

import threading
from dataclasses import dataclass, field

from tork_celery.domain.model import StepRef
from tork_celery.runtime.protocol import StepRun


@dataclass(slots=True)
class TrackedResources:
    """All that there is of one delivery: its containers that were not removed, its number of volumes, and
    whether it has a network."""

    containers: set[StepRef] = field(default_factory=set)
    volumes: int = 0
    network: bool = False


class ResourceTracker:
    """Only a process that ran the first step of a delivery knows all of it: each delivery belongs to one
    node, and one process is that node. For the rest, left by an earlier process, there is no trace."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._resources: dict[tuple[str, int], TrackedResources] = {}

    def created(self, run: StepRun) -> None:
        key = (run.ref.task_id, run.ref.delivery)
        with self._lock:
            if run.ref.step == 0:
                self._resources.setdefault(key, TrackedResources())
            if (tracked := self._resources.get(key)) is not None:
                tracked.containers.add(run.ref)
                tracked.volumes = max(tracked.volumes, len(run.mounts))
                tracked.network = tracked.network or bool(run.sidecars)

    def removed(self, ref: StepRef) -> None:
        """The step's container is gone."""
        with self._lock:
            if (tracked := self._resources.get((ref.task_id, ref.delivery))) is not None:
                tracked.containers.discard(ref)

    def take(self, task_id: str, delivery: int) -> TrackedResources | None:
        """All that there is of the delivery, forgotten here from now on. None: the engine must be asked."""
        with self._lock:
            return self._resources.pop((task_id, delivery), None)
