"""Runs one step of a task, from the claim to the stored outcome."""

import itertools
import threading
from collections.abc import Callable
from enum import Enum
from typing import TypeVar

import structlog
from sqlalchemy import Connection

from tork_celery import webhook_outbox
from tork_celery.dispatch.dispatcher import Dispatcher
from tork_celery.domain import transitions
from tork_celery.domain.definition import Defaults
from tork_celery.domain.errors import BrokerUnavailable, DatastoreUnavailable, StepFailed
from tork_celery.domain.model import StepRef, Task
from tork_celery.domain.states import ENDED_EARLY, Outcome
from tork_celery.runtime.protocol import Detached, Runtime
from tork_celery.store import Database, claims, jobs, leases, logs, tasks
from tork_celery.worker.active_steps import ActiveStep, ActiveSteps, StopReason
from tork_celery.worker.adoption import AdoptableSteps
from tork_celery.worker.backoff import Backoff
from tork_celery.worker.log_shipper import LogShipper
from tork_celery.worker.step_execution import Execution, containers_of
from tork_celery.worker.step_outcome import StepOutcome, outcome_of

log = structlog.get_logger(__name__)
T = TypeVar("T")


class ChainAction(Enum):
    """What is to become of the message that asked for a step."""

    NEXT = "the step is done: publish the next one"
    ADVANCE = "the task has failed: publish only what advances its job"
    IGNORE = "somebody else has the step, or it goes on without us: publish nothing"
    REQUEUE = "this worker stops: the message is for another one"


class Worker:
    """Runs steps on a runtime, as the node `node`. Safe to use from many threads, one a step. `defaults`
    hold for tasks that say nothing of their limits or their timeout."""

    def __init__(
        self,
        *,
        database: Database,
        dispatcher: Dispatcher,
        runtime: Runtime,
        node: str,
        lease_s: float,
        log_limit_bytes: int,
        cancel_grace_s: float,
        defaults: Defaults | None = None,
    ) -> None:
        self.database = database
        self.dispatcher = dispatcher
        self.runtime = runtime
        self.node = node
        self.steps = ActiveSteps(
            lambda ref, grace_s: runtime.kill(ref, grace_s=grace_s), grace_s=cancel_grace_s
        )
        self.adoptable = AdoptableSteps()
        self.lease_s = lease_s
        self._shipper = LogShipper(database, self.steps)
        self._execution = Execution(
            database=database,
            runtime=runtime,
            steps=self.steps,
            shipper=self._shipper,
            node=node,
            log_limit_bytes=log_limit_bytes,
            defaults=defaults or Defaults(),
        )
        self._closed = threading.Event()  # no step begins any more
        self._stopping = threading.Event()  # and those that run are let go of
        self._releasing = threading.Event()  # to be given back

    def start(self) -> None:
        self._shipper.start()

    def drain(self, *, within_s: float) -> None:
        """Take no more steps; return when the running ones have ended, after `within_s` at the latest."""
        self._closed.set()
        self.steps.wait_for_end(within_s)

    def extend_leases(self, *, for_s: float) -> None:
        """Extend the leases of all tasks of this node to at least `for_s` seconds, now and at every heartbeat
        to come. Raises DatastoreUnavailable."""
        self.lease_s = max(self.lease_s, for_s)
        with self.database.transaction() as tx:
            leases.extend(tx, node=self.node, lease_s=self.lease_s)

    def detach(self) -> None:
        """Take no more steps and leave the containers of the running ones running, for the next process of
        this node to adopt. Where the runtime cannot do that, release the tasks instead."""
        if not self.runtime.adopts:
            self.release()
            return
        self._stop_taking_steps()
        self.steps.kill_now()
        self.runtime.detach()

    def release(self) -> None:
        """Take no more steps, kill the running ones and give their tasks back to the queue."""
        self._stop_taking_steps()
        self._releasing.set()
        for step in self.steps.all():
            self.steps.kill(step, StopReason.RELEASED)

    def kill(self, task_id: str, delivery: int) -> None:
        """Kill the step of a cancelled task, if it runs here."""
        for step in self.steps.all():
            if (step.ref.task_id, step.ref.delivery) == (task_id, delivery):
                self.steps.kill(step, StopReason.CANCELLED)

    def close(self) -> None:
        """After the last step has returned."""
        self._shipper.stop()
        self.runtime.close()

    def run(self, ref: StepRef) -> ChainAction:
        """Claim the step, run it, store its outcome. Safe to call again for the same step at any time."""
        if self._closed.is_set():
            return ChainAction.REQUEUE
        try:
            adopted = self.adoptable.take(ref) is not None
            task = self._patiently(lambda: self._resume(ref) if adopted else self._claim(ref))
            if task is None:
                return self._patiently(lambda: self._not_claimed(ref))
            return self._run_claimed(task, ref, adopted=adopted)
        except Detached:
            return ChainAction.IGNORE

    def _stop_taking_steps(self) -> None:
        self._closed.set()
        self._stopping.set()

    def _claim(self, ref: StepRef) -> Task | None:
        with self.database.transaction() as tx:
            if ref.step == 0:
                jobs.lock_row_by_task(tx, ref.task_id)
            task = claims.claim(tx, ref, node=self.node, lease_s=self.lease_s)
            if task is not None and ref.step == 0:
                webhook_outbox.record_claim(tx, task, job_started=jobs.start(tx, task.job_id))
            return task

    def _resume(self, ref: StepRef) -> Task | None:
        """The task of a step that an earlier process of this node had begun. When it was given to another
        since, what is left of it here must not run again."""
        with self.database.transaction() as tx:
            task = claims.resume(tx, ref, node=self.node, lease_s=self.lease_s)
        if task is None:
            self.runtime.remove_delivery(ref.task_id, ref.delivery)
        return task

    def _not_claimed(self, ref: StepRef) -> ChainAction:
        """A step whose outcome was stored before a crash kept the next message from being published is done:
        what follows is published again, and finds out by its own claim whether it is wanted."""
        with self.database.reading() as tx:
            task = tasks.get(tx, ref.task_id)
        if task is None or task.delivery != ref.delivery:
            return ChainAction.IGNORE
        if task.state in ENDED_EARLY and task.node == self.node:  # between two of its steps
            self.runtime.remove_delivery(ref.task_id, ref.delivery)
        if task.step > ref.step:
            return ChainAction.NEXT
        return ChainAction.ADVANCE if task.outcome is not None else ChainAction.IGNORE

    def _run_claimed(self, task: Task, ref: StepRef, *, adopted: bool) -> ChainAction:
        step = self._patiently(lambda: self._execution.new_step(task, ref, adopted=adopted))
        with self.steps.running(step):
            if self._releasing.is_set():  # since the claim
                return self._release_task(step)
            try:
                exit_ = self._execution.run(task, step, Backoff(self._stopping))
                outcome = outcome_of(exit_, step, is_main=ref.step == task.definition.main)
            except StepFailed as error:
                step.output.note(str(error))
                outcome = StepOutcome(error=str(error))
            except Detached:
                self._shipper.ship([step])
                raise
            if step.stop_reason is StopReason.RELEASED and outcome.error is not None:
                return self._release_task(step)
            tries = itertools.count()
            recorded = self._patiently(lambda: self._record(task, step, outcome, again=next(tries) > 0))
        return self._follow_up(task, ref, outcome, recorded=recorded)

    def _record(self, task: Task, step: ActiveStep, outcome: StepOutcome, *, again: bool) -> bool:
        """Store the outcome and the last of the output together; False when the task is not ours any more."""
        with step.output.storing:
            with self.database.transaction() as tx:
                ours = self._record_outcome(tx, task, step.ref, outcome)
                if ours:
                    logs.add(tx, job_id=task.job_id, ref=step.ref, parts=step.output.take(final=True))
                elif again:
                    ours = self._was_recorded(tx, step.ref, outcome)
            if ours:
                step.output.stored()
        if not ours:  # a cancelled task's output is kept to its end
            self._shipper.ship([step], final=True)
        return ours

    def _record_outcome(self, tx: Connection, task: Task, ref: StepRef, outcome: StepOutcome) -> bool:
        if outcome.error is not None:
            return claims.fail_step(tx, ref, node=self.node, error=outcome.error)
        last = ref.step + 1 == len(task.definition.steps)
        return claims.complete_step(tx, ref, node=self.node, result=outcome.result, last=last)

    def _was_recorded(self, tx: Connection, ref: StepRef, outcome: StepOutcome) -> bool:
        """Whether an earlier try was committed without our hearing of it."""
        task = tasks.get(tx, ref.task_id)
        if task is None or (task.delivery, task.node) != (ref.delivery, self.node):
            return False
        if outcome.error is not None:
            return task.outcome is Outcome.FAILED and task.error == outcome.error
        return task.step == ref.step + 1

    def _follow_up(self, task: Task, ref: StepRef, outcome: StepOutcome, *, recorded: bool) -> ChainAction:
        for used in containers_of(task, ref):
            self.runtime.remove_step(used)
        failed = outcome.error is not None
        if not recorded or failed or ref.step + 1 == len(task.definition.steps):
            self.runtime.remove_delivery(ref.task_id, ref.delivery)
        if not recorded:
            log.warning("step.superseded", step=str(ref))
            return ChainAction.IGNORE
        return ChainAction.ADVANCE if failed else ChainAction.NEXT

    def _release_task(self, step: ActiveStep) -> ChainAction:
        """The task is free again, from its first step on, and nothing of this delivery stays."""
        self._shipper.ship([step], final=True)
        self.runtime.remove_step(step.ref)
        self.runtime.remove_delivery(step.ref.task_id, step.ref.delivery)
        try:
            with self.database.transaction() as tx:
                task = claims.lock_held(tx, step.ref, node=self.node)
                if task is None:
                    return ChainAction.IGNORE
                free = transitions.release(task, now=self.database.now(tx))
                webhook_outbox.record_tasks(tx, [free])
                tasks.save(tx, [free])
            self.dispatcher.send(free)
        except (DatastoreUnavailable, BrokerUnavailable) as error:
            # Its lease runs out, or the sweep finds that its message is missing: it is delivered again.
            log.warning("task.not_given_back", task_id=step.ref.task_id, reason=str(error))
        return ChainAction.IGNORE

    def _patiently(self, action: Callable[[], T]) -> T:
        """Do it as soon as the datastore answers. Raises Detached when the worker stops before."""
        return Backoff(self._stopping).until_answered(action)
