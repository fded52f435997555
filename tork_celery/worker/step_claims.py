"""The claims of a node on steps, in the datastore: claim, record the outcome, release."""

from collections.abc import Sequence
from dataclasses import replace

import structlog
from sqlalchemy import Connection

from tork_celery import webhook_outbox
from tork_celery.domain import transitions
from tork_celery.domain.errors import DatastoreUnavailable
from tork_celery.domain.model import StepRef, Task
from tork_celery.domain.states import Outcome
from tork_celery.domain.step_report import RecentMark
from tork_celery.store import claims, jobs, logs, publishing_window, tasks
from tork_celery.worker.active_steps import ActiveStep
from tork_celery.worker.context import WorkerContext
from tork_celery.worker.leases import LeaseKeeper
from tork_celery.worker.step_outcome import StepOutcome

log = structlog.get_logger(__name__)


class StepClaims:
    """Claims and releases steps for a node.

    Every change is a compare-and-set: a node that lost a step changes nothing. All methods but `release`
    raise DatastoreUnavailable.
    """

    def __init__(self, context: WorkerContext, leases: LeaseKeeper) -> None:
        self._context = context
        self._leases = leases

    def claim(self, ref: StepRef) -> Task | None:
        """Claim a step. Return its task, or None if the step cannot be claimed.

        The claim of a first step makes room in the window of its queue, which is filled again in the same
        transaction.
        """
        sent: Sequence[Task] = ()
        with self._context.database.transaction() as tx:
            if ref.step == 0:
                jobs.lock_row_by_task(tx, ref.task_id)
            task = claims.claim(tx, ref, node=self._context.node, lease_s=self._leases.lease_s)
            if task is not None and ref.step == 0:
                webhook_outbox.record_claim(tx, task, job_started=jobs.start(tx, task.job_id))
                sent = self._mark_next_sent(tx, task.queue)
        self._context.publisher.send(sent)
        return task

    def resume(self, ref: StepRef) -> Task | None:
        """Take over a step that an earlier process of this node claimed, or return None if it was lost."""
        with self._context.database.transaction() as tx:
            return claims.resume(tx, ref, node=self._context.node, lease_s=self._leases.lease_s)

    def task(self, task_id: str) -> Task | None:
        with self._context.database.reading() as tx:
            return tasks.get(tx, task_id)

    def record(self, task: Task, step: ActiveStep, outcome: StepOutcome, *, repeated: bool) -> bool:
        """Store the outcome of a step and the rest of its output. Return False if the claim was lost.

        `repeated` says that an earlier call may have been committed without an answer.
        """
        if outcome.error is not None:  # it may quote what only this task masks
            outcome = replace(outcome, error=step.output.masker.mask(outcome.error))
        report = step.timeline.report()
        marks = report.marks if report else ()
        with step.output.storing(final=True) as batch:
            with self._context.database.transaction() as tx:
                recorded = self._record_outcome(tx, task, step.ref, outcome, marks)
                if recorded:
                    logs.add(tx, job_id=task.job_id, ref=step.ref, parts=batch.parts)
                elif repeated:
                    recorded = self._was_recorded(tx, step.ref, outcome)
            if recorded:
                batch.mark_stored()
        return recorded

    def release(self, ref: StepRef) -> None:
        """Give the task of a step back to its queue, to start again from its first step.

        If the datastore is away, the recovery sweep redelivers the task.
        """
        try:
            with self._context.database.transaction() as tx:
                task = claims.lock_held(tx, ref, node=self._context.node)
                if task is None:
                    return
                now = self._context.database.now(tx)
                released = transitions.release(task, now=now, reason=f"{task.node} gave it back")
                webhook_outbox.record_tasks(tx, [released])
                tasks.save(tx, [released])
                sent = self._mark_next_sent(tx, released.queue)
            self._context.publisher.send(sent)
        except DatastoreUnavailable as error:
            log.warning("task.not_released", task_id=ref.task_id, reason=str(error))

    def _mark_next_sent(self, tx: Connection, queue: str) -> Sequence[Task]:
        return publishing_window.mark_next_sent(tx, [queue], lease_s=self._context.lease_s)

    def _record_outcome(
        self, tx: Connection, task: Task, ref: StepRef, outcome: StepOutcome, marks: Sequence[RecentMark]
    ) -> bool:
        node = self._context.node
        if outcome.error is not None:
            return claims.fail_step(
                tx,
                ref,
                node=node,
                error=outcome.error,
                exit_code=outcome.exit_code,
                cause=outcome.cause,
                marks=marks,
            )
        last = ref.step + 1 == len(task.definition.steps)
        return claims.complete_step(tx, ref, node=node, result=outcome.result, last=last, marks=marks)

    def _was_recorded(self, tx: Connection, ref: StepRef, outcome: StepOutcome) -> bool:
        task = tasks.get(tx, ref.task_id)
        if task is None or (task.delivery, task.node) != (ref.delivery, self._context.node):
            return False
        if outcome.error is not None:
            return task.outcome is Outcome.FAILED and task.error == outcome.error
        return task.step == ref.step + 1
