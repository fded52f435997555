"""Removal of what a step leaves on this host."""

from dataclasses import dataclass

from tork_celery.domain.model import StepRef, Task
from tork_celery.runtime.protocol import Runtime
from tork_celery.worker.step_runs import containers_of


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCleanup:
    """Removes steps of tasks from a runtime."""

    runtime: Runtime

    def free_disk_space(self, task: Task, ref: StepRef) -> None:
        """Free the disk space of an ended step, and remove its sidecars, before its outcome is stored.

        If this process dies before that, a later one of the node can still read the outcome of the step.
        """
        *sidecars, _ = containers_of(task, ref)
        for sidecar in sidecars:
            self.runtime.remove_step(sidecar)
        self.runtime.free_space(ref)

    def remove(self, task: Task, ref: StepRef, *, keep_volumes: bool) -> None:
        """Remove the step and, unless another step follows, the volumes of the delivery."""
        self.runtime.remove_step(ref)
        if not keep_volumes or ref.step + 1 == len(task.definition.steps):
            self.runtime.remove_delivery(ref.task_id, ref.delivery)
