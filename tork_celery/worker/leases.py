"""The leases of a node on its tasks."""

from tork_celery import webhook_outbox
from tork_celery.store import leases, tasks
from tork_celery.worker.active_steps import ActiveStep, StopReason
from tork_celery.worker.context import WorkerContext
from tork_celery.worker.recovery import AdoptableSteps


class LeaseKeeper:
    """Renews the leases of a node, and kills the steps of tasks that no longer belong to it.

    Methods raise DatastoreUnavailable.
    """

    def __init__(self, context: WorkerContext, adoptable: AdoptableSteps) -> None:
        self._context = context
        self._adoptable = adoptable
        self._lease_s = context.lease_s

    @property
    def lease_s(self) -> float:
        """Seconds for which a task belongs to the node after a claim or a renewal."""
        return self._lease_s

    def extend(self, *, for_s: float) -> None:
        """Extend all leases to at least `for_s` seconds, now and at every later renewal."""
        self._lease_s = max(self._lease_s, for_s)
        with self._context.database.transaction() as tx:
            leases.extend(tx, node=self._context.node, lease_s=self._lease_s)

    def renew(self) -> None:
        """Renew all leases in one statement, with the reports of the steps. Never waits for the engine."""
        active, adoptable = self._context.steps.all(), self._adoptable.all()
        running = [step.ref.task_id for step in active] + [task.id for task in adoptable]
        progress = self._progress(active)
        reports = [(step, report) for step in active if (report := step.timeline.report()) is not None]
        with self._context.database.transaction() as tx:
            webhook_outbox.record_progress(tx, progress, node=self._context.node)
            deliveries = leases.renew(
                tx,
                node=self._context.node,
                running=running,
                lease_s=self._lease_s,
                progress=progress,
                reports={step.ref.task_id: report for step, report in reports},
            )
            lost = [step for step in active if deliveries.get(step.ref.task_id) != step.ref.delivery]
            ended_early = tasks.ended_early(tx, [step.ref.task_id for step in lost])
        for step, report in reports:
            step.timeline.stored(report)
        for step in lost:
            self._context.steps.kill(step, StopReason.of_lost_task(ended_early.get(step.ref.task_id)))
        for task in adoptable:
            if deliveries.get(task.id) != task.delivery:
                self._adoptable.remove(task.ref)
                self._context.runtime.remove_delivery(task.id, task.delivery)

    def _progress(self, steps: list[ActiveStep]) -> dict[str, float]:
        """Return the progress of the steps that report it, by task id."""
        reported = {step.ref.task_id: self._context.runtime.progress(step.ref) for step in steps}
        return {task_id: percent for task_id, percent in reported.items() if percent is not None}
