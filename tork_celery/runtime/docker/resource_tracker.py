"""The resources that this process created for its deliveries, so that removal need not search the engine."""

import threading
from dataclasses import dataclass, field

from tork_celery.domain.model import StepRef
from tork_celery.runtime.protocol import StepRun


@dataclass(slots=True)
class TrackedResources:
    """The resources of one delivery: its containers, its number of volumes, and whether it has a network.

    `complete` is False when the engine may have others of the delivery.
    """

    containers: set[StepRef] = field(default_factory=set)
    volumes: int = 0
    network: bool = False
    complete: bool = True


class ResourceTracker:
    """Tracks the deliveries whose first step was run by this process.

    A delivery belongs to one node, and a node is one process. So this process created everything of such a
    delivery. Deliveries that an earlier process began are not tracked.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._resources: dict[tuple[str, int], TrackedResources] = {}

    def add(self, run: StepRun) -> None:
        """Track the resources of a step or sidecar. Call before they are created."""
        key = (run.ref.task_id, run.ref.delivery)
        with self._lock:
            if run.ref.step == 0:
                self._resources.setdefault(key, TrackedResources())
            if (tracked := self._resources.get(key)) is not None:
                tracked.containers.add(run.ref)
                tracked.volumes = max(tracked.volumes, len(run.mounts))
                tracked.network = tracked.network or bool(run.sidecars)

    def discard_container(self, ref: StepRef) -> None:
        with self._lock:
            if (tracked := self._resources.get((ref.task_id, ref.delivery))) is not None:
                tracked.containers.discard(ref)

    def mark_incomplete(self, ref: StepRef) -> None:
        """Record that another program removed something of the delivery, and may have left a part of it."""
        with self._lock:
            if (tracked := self._resources.get((ref.task_id, ref.delivery))) is not None:
                tracked.complete = False

    def pop(self, task_id: str, delivery: int) -> TrackedResources | None:
        """Return the resources of a delivery and stop tracking it. None: only the engine knows them all."""
        with self._lock:
            tracked = self._resources.pop((task_id, delivery), None)
        return tracked if tracked is not None and tracked.complete else None
