"""The worker: runs one step of a task, from the claim to the stored outcome, in each thread."""

import itertools
import threading
from collections.abc import Callable
from enum import Enum
from typing import TypeVar

import structlog

from tork_celery.dispatch.dispatcher import Dispatcher
from tork_celery.domain.definition import Defaults
from tork_celery.domain.errors import (
    DatastoreFull,
    DatastoreUnavailable,
    EngineUnavailable,
    StepFailed,
)
from tork_celery.domain.model import StepRef, Task
from tork_celery.domain.states import ENDED_EARLY, TaskState
from tork_celery.outages import OutageLog
from tork_celery.periodic_thread import PeriodicThread
from tork_celery.publisher import BackgroundPublisher
from tork_celery.runtime.protocol import Detached, Runtime
from tork_celery.store import Database, tasks
from tork_celery.worker.active_steps import ActiveStep, ActiveSteps, StopReason
from tork_celery.worker.backoff import InterruptibleBackoff
from tork_celery.worker.context import WorkerContext
from tork_celery.worker.disk_guard import DiskGuard, DiskLimits
from tork_celery.worker.engine_waits import MovedTasks, ReleaseNeeded
from tork_celery.worker.host_environment import HostEnvironment
from tork_celery.worker.leases import LeaseKeeper
from tork_celery.worker.log_shipper import LogShipper
from tork_celery.worker.recovery import AdoptableSteps, Recovery
from tork_celery.worker.step_claims import StepClaims
from tork_celery.worker.step_cleanup import StepCleanup
from tork_celery.worker.step_execution import StepExecution
from tork_celery.worker.step_outcome import StepOutcome, outcome_of

log = structlog.get_logger(__name__)
T = TypeVar("T")

_REQUEUE_PAUSE_S = 1.0  # before the message of a task for other workers goes back to its queue


class ChainAction(Enum):
    """What to do with the rest of the Celery chain after a step."""

    NEXT = "the step succeeded: publish the next step"
    ADVANCE = "the task failed: publish only what advances its job"
    IGNORE = "another node has the step, or it runs on without this worker: publish nothing"
    REQUEUE = "this worker stops, or leaves the step to another one: return the message to its queue"


class Worker:
    """Runs steps on a runtime, as the node `node`. Thread-safe.

    `defaults` apply to tasks without limits or a timeout. `cancel_grace_s` is the time between TERM and KILL
    for the steps of cancelled and stopped tasks. `engine_wait_s` is the longest wait for an engine that does
    not answer, for tasks without a timeout. `disk_limits` bound what steps use of this host's disks. Steps
    see the variables of `host_env`.
    """

    def __init__(
        self,
        *,
        node: str,
        database: Database,
        dispatcher: Dispatcher,
        runtime: Runtime,
        lease_s: float,
        log_limit_bytes: int,
        cancel_grace_s: float,
        defaults: Defaults | None = None,
        engine_wait_s: float = 3600.0,
        cleanup_interval_s: float = 30.0,
        engine_outages: OutageLog | None = None,
        disk_limits: DiskLimits | None = None,
        host_env: HostEnvironment | None = None,
    ) -> None:
        self.node = node
        self.engine_outages = engine_outages or OutageLog("engine", EngineUnavailable)
        self._draining = threading.Event()  # no step starts
        self._stopping = threading.Event()  # running steps are detached or released
        self._releasing = threading.Event()  # they are released
        self._steps = ActiveSteps(
            lambda ref, grace_s: runtime.kill(ref, grace_s=grace_s), grace_s=cancel_grace_s
        )
        self._publisher = BackgroundPublisher(dispatcher)
        self._context = context = WorkerContext(
            node=node,
            database=database,
            dispatcher=dispatcher,
            publisher=self._publisher,
            runtime=runtime,
            steps=self._steps,
            lease_s=lease_s,
        )
        self._adoptable = AdoptableSteps()
        self._leases = LeaseKeeper(context, self._adoptable)
        self._recovery = Recovery(context, self._adoptable)
        self._claims = StepClaims(context, self._leases)
        self._moved_tasks = MovedTasks(context)
        self._shipper = LogShipper(database, self._steps)
        self._execution = StepExecution(
            context=context,
            shipper=self._shipper,
            log_limit_bytes=log_limit_bytes,
            defaults=defaults or Defaults(),
            stopping=self._stopping,
            engine_wait_s=engine_wait_s,
            host_env=host_env or HostEnvironment(),
        )
        self._step_cleanup = StepCleanup(runtime=runtime)
        self._disk_guard = DiskGuard(runtime, self._steps, disk_limits or DiskLimits())
        self._cleanup = PeriodicThread(
            self._remove_leftovers,
            name="cleanup",
            interval_s=cleanup_interval_s,
            bug_event="cleanup.failed",
        )

    def start(self) -> None:
        """Start the threads that publish, store output, guard the disks and remove leftovers."""
        self._publisher.start()
        self._shipper.start()
        self._disk_guard.start()
        self._cleanup.start()

    @property
    def has_room(self) -> bool:
        """Whether the disks have room for new tasks. Otherwise their messages go back to the queue."""
        return self._disk_guard.has_room

    def free_disk_space(self) -> None:
        """Free the disk space of ended steps and of leftovers. Writes nothing to the datastore.

        Call this at the start of the node: its disk may be full. Raises DatastoreUnavailable,
        EngineUnavailable.
        """
        self._context.runtime.free_ended()
        self._recovery.remove_leftovers()

    def recover(self) -> None:
        """Adopt or release the tasks that an earlier process of this node left, and remove its leftovers.

        Raises DatastoreUnavailable, EngineUnavailable.
        """
        with self.engine_outages.watch():
            self._recovery.recover()

    def renew_leases(self) -> None:
        """Renew the leases of this node and kill the steps that no longer belong to it.

        Call this once per heartbeat. Raises DatastoreUnavailable.
        """
        self._leases.renew()
        self._recovery.publish_missing()

    def drain(self, *, within_s: float) -> None:
        """Start no more steps; return when the running ones have ended, after `within_s` at the latest."""
        self._draining.set()
        self._steps.wait_for_end(within_s)

    def extend_leases(self, *, for_s: float) -> None:
        """Extend the leases of all tasks of this node to at least `for_s` seconds.

        Later renewals keep that length. Raises DatastoreUnavailable.
        """
        self._leases.extend(for_s=for_s)

    def detach(self) -> None:
        """Start no more steps, and leave the running ones to the next process of this node.

        Where steps cannot outlive their process, release their tasks instead.
        """
        if not self._context.runtime.adopts:
            self.release()
            return
        self._stop()
        self._steps.kill_now()
        self._context.runtime.detach()

    def release(self) -> None:
        """Start no more steps, kill the running ones and give their tasks back to their queues."""
        self._releasing.set()
        self._stop()
        for step in self._steps.all():
            self._steps.kill(step, StopReason.RELEASED)

    def kill(self, task_id: str, delivery: int) -> None:
        """Kill the step of a task that was cancelled or stopped, if it runs here."""
        for step in self._steps.of_delivery(task_id, delivery):
            self._steps.kill(step, self._stop_reason(task_id))

    def close(self) -> None:
        """Stop the threads and close the runtime, after the last step has returned."""
        self._shipper.stop()
        self._cleanup.request_stop()
        self._context.runtime.close()  # ends calls of an engine that hangs, for which the threads may wait
        self._disk_guard.stop()
        self._cleanup.stop()
        self._publisher.stop()

    def run(self, ref: StepRef) -> ChainAction:
        """Claim the step, run it and store its outcome. Idempotent."""
        if self._draining.is_set():
            return ChainAction.REQUEUE
        try:
            if self._is_for_others(ref):
                return self._requeue()
            adopted = self._adoptable.remove(ref)
            if ref.step == 0 and not adopted and not self.has_room:
                return self._requeue()
            task = self._until_answered(lambda: self._resume(ref) if adopted else self._claims.claim(ref))
            if task is None:
                return self._until_answered(lambda: self._action_without_claim(ref))
            return self._run_claimed(task, ref, adopted=adopted)
        except Detached:
            return ChainAction.IGNORE

    def _stop(self) -> None:
        self._draining.set()
        self._stopping.set()
        self._steps.interrupt_waits()
        self._cleanup.request_stop()

    def _stop_reason(self, task_id: str) -> StopReason:
        try:
            with self._context.database.reading() as tx:
                state = tasks.ended_early(tx, [task_id]).get(task_id, TaskState.CANCELLED)
        except DatastoreUnavailable:
            state = TaskState.CANCELLED
        return StopReason.of_lost_task(state)

    def _resume(self, ref: StepRef) -> Task | None:
        """Adopt the step, or remove its containers and return None if this node has lost it."""
        task = self._claims.resume(ref)
        if task is None:
            self._context.runtime.remove_delivery(ref.task_id, ref.delivery)
        return task

    def _action_without_claim(self, ref: StepRef) -> ChainAction:
        """Return what follows a message whose step cannot be claimed.

        The step may be done, and the message of the next one lost: then that is published again. Its own
        claim decides whether it runs.
        """
        task = self._claims.task(ref.task_id)
        if task is None or task.delivery != ref.delivery:
            return ChainAction.IGNORE
        if task.state in ENDED_EARLY and task.node == self.node:  # cancelled between two of its steps
            self._context.runtime.remove_delivery(ref.task_id, ref.delivery)
        if task.step > ref.step:
            return ChainAction.NEXT
        return ChainAction.ADVANCE if task.outcome is not None else ChainAction.IGNORE

    def _run_claimed(self, task: Task, ref: StepRef, *, adopted: bool) -> ChainAction:
        step = self._until_answered(lambda: self._execution.new_step(task, ref, adopted=adopted))
        with self._steps.running(step):
            if self._releasing.is_set():  # since the claim
                return self._release_step(step)
            if note := _first_note(task, ref, adopted=adopted):
                step.output.note(note)
            outcome = self._outcome(task, step)
            if outcome is None or (step.stop_reason is StopReason.RELEASED and outcome.error is not None):
                return self._release_step(step)
            self._step_cleanup.free_disk_space(task, ref)
            recorded = self._record(task, step, outcome)
        self._step_cleanup.remove(task, ref, keep_volumes=recorded and outcome.error is None)
        if not recorded:
            log.warning("step.superseded", step=str(ref))
            return ChainAction.IGNORE
        return ChainAction.NEXT if outcome.error is None else ChainAction.ADVANCE

    def _outcome(self, task: Task, step: ActiveStep) -> StepOutcome | None:
        """Run the step to its end. Return None if its task is to be released. Raises Detached."""
        try:
            exit_ = self._execution.run(task, step)
        except StepFailed as error:
            step.output.note(str(error))
            return StepOutcome(error=str(error))
        except ReleaseNeeded as needed:
            if needed.engine_away:
                self._moved_tasks.add(task.id)
            return None
        except Detached:
            if self._releasing.is_set():
                return None
            self._shipper.ship([step])
            raise
        return outcome_of(exit_, step, is_main=step.ref.step == task.definition.main)

    def _record(self, task: Task, step: ActiveStep, outcome: StepOutcome) -> bool:
        attempts = itertools.count()

        def record() -> bool:
            try:
                return self._claims.record(task, step, outcome, repeated=next(attempts) > 0)
            except DatastoreFull:  # perhaps of what the containers wrote
                self._step_cleanup.remove(task, step.ref, keep_volumes=outcome.error is None)
                raise

        recorded = self._until_answered(record)
        if not recorded:  # the output of a cancelled task is kept to its end
            self._shipper.ship([step], final=True)
        return recorded

    def _requeue(self) -> ChainAction:
        self._stopping.wait(_REQUEUE_PAUSE_S)
        return ChainAction.REQUEUE

    def _release_step(self, step: ActiveStep) -> ChainAction:
        self._shipper.ship([step], final=True)
        self._context.runtime.remove_step(step.ref)
        self._context.runtime.remove_delivery(step.ref.task_id, step.ref.delivery)
        self._claims.release(step.ref)
        return ChainAction.IGNORE

    def _is_for_others(self, ref: StepRef) -> bool:
        """Return whether to leave a step to another worker, since the engine of this one does not answer."""
        if ref.task_id not in self._moved_tasks:
            return False
        task = self._until_answered(lambda: self._claims.task(ref.task_id))
        return task is not None and self._moved_tasks.belongs_to_others(task)

    def _remove_leftovers(self) -> None:
        with self.engine_outages.watch():
            self._recovery.remove_leftovers()

    def _until_answered(self, action: Callable[[], T]) -> T:
        """Repeat `action` until the datastore answers. Raises Detached if the worker stops before."""
        return InterruptibleBackoff(self._stopping).until_answered(action)


def _first_note(task: Task, ref: StepRef, *, adopted: bool) -> str | None:
    """Return what the task's log says before the output of a step, if the step is no plain start."""
    if adopted:
        return "the worker has restarted and follows the step, which it started before"
    if ref.step == 0 and ref.delivery > 1:
        return f"delivery {ref.delivery}: the task starts from its first step"
    if ref.step == 0 and task.attempts:
        return f"attempt {task.attempts + 1}: the attempt before it failed"
    return None
