"""What this process made for the deliveries that it runs, so that it need not search the engine for it."""

import threading
from dataclasses import dataclass, field

from tork_celery.domain.model import StepRef
from tork_celery.runtime.protocol import StepRun


@dataclass(slots=True)
class Trace:
    """All that there is of one delivery: its containers that were not removed, its number of volumes, and
    whether it has a network."""

    containers: set[StepRef] = field(default_factory=set)
    volumes: int = 0
    network: bool = False


class Traces:
    """Only a process that ran the first step of a delivery knows all of it: each delivery belongs to one
    node, and one process is that node. For the rest, left by an earlier process, there is no trace."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._traces: dict[tuple[str, int], Trace] = {}

    def leave(self, run: StepRun) -> None:
        key = (run.ref.task_id, run.ref.delivery)
        with self._lock:
            if run.ref.step == 0:
                self._traces.setdefault(key, Trace())
            if (trace := self._traces.get(key)) is not None:
                trace.containers.add(run.ref)
                trace.volumes = max(trace.volumes, len(run.mounts))
                trace.network = trace.network or bool(run.sidecars)

    def wipe(self, ref: StepRef) -> None:
        """The step's container is gone."""
        with self._lock:
            if (trace := self._traces.get((ref.task_id, ref.delivery))) is not None:
                trace.containers.discard(ref)

    def take(self, task_id: str, delivery: int) -> Trace | None:
        """All that there is of the delivery, forgotten here from now on. None: the engine must be asked."""
        with self._lock:
            return self._traces.pop((task_id, delivery), None)
