"""The execution of one claimed step on the runtime, with its timeouts and outages."""

import threading
from dataclasses import dataclass, field

import structlog

from tork_celery.domain.definition import Defaults, limits_of
from tork_celery.domain.errors import DatastoreUnavailable, EngineFailed, EngineUnavailable, StepFailed
from tork_celery.domain.logs import LogPosition
from tork_celery.domain.masking import MaskedValues, task_values
from tork_celery.domain.model import StepRef, Task
from tork_celery.runtime.protocol import AlreadyStarted, StepExit, StepRemoved, VolumesRemoved
from tork_celery.store import jobs, logs
from tork_celery.worker.active_steps import ActiveStep
from tork_celery.worker.backoff import InterruptibleBackoff
from tork_celery.worker.context import WorkerContext
from tork_celery.worker.engine_waits import EngineWait, EngineWaits, ReleaseNeeded, has_other_worker
from tork_celery.worker.host_environment import HostEnvironment
from tork_celery.worker.log_shipper import LogShipper
from tork_celery.worker.masking_thread import MaskingThread
from tork_celery.worker.step_output import StepOutput
from tork_celery.worker.step_runs import containers_of, step_run
from tork_celery.worker.step_timeline import StepTimeline
from tork_celery.worker.step_timeouts import StepTimeouts

log = structlog.get_logger(__name__)

_KILLED_CODES = {137, 143, 255}  # by KILL, by TERM, found dead by an engine that starts
# An engine that shuts down may answer nothing rather than refuse, if another program keeps its socket.
_CHECK_WITHIN_S = 1.0
_KILLED_WHILE_WAITING = StepExit(code=137, note="stopped while it waited for the container engine")
_MOST_DELIVERIES = 10  # of a task whose volumes are removed each time


@dataclass(frozen=True, slots=True, kw_only=True)
class StepExecution:
    """Runs steps for a worker. Thread-safe.

    `stopping` is set when the worker stops. `engine_wait_s` is the longest wait for an engine that does not
    answer, for tasks without a timeout.
    """

    context: WorkerContext
    shipper: LogShipper
    log_limit_bytes: int
    defaults: Defaults
    stopping: threading.Event
    engine_wait_s: float
    host_env: HostEnvironment = field(default_factory=HostEnvironment)

    def new_step(self, task: Task, ref: StepRef, *, adopted: bool) -> ActiveStep:
        """Return the step of a claimed task, ready to run. Raises DatastoreUnavailable."""
        with self.context.database.reading() as tx:
            secrets = jobs.secrets(tx, task.job_id)
            stored = logs.position(tx, ref) if adopted else LogPosition()
        values = MaskedValues(secrets).with_values(self.host_env.secrets)
        masker = values.with_values(task_values(task.definition)).masker()
        output = StepOutput(
            task_id=task.id,
            step=ref.step,
            step_name=task.definition.steps[ref.step].name,
            stored=stored,
            limit_bytes=self.log_limit_bytes,
            masker=masker,
            mask_result=self.host_env.mask,
        )
        timeline = StepTimeline(masker.mask, node=self.context.node)
        return ActiveStep(ref=ref, job_id=task.job_id, output=output, timeline=timeline)

    def run(self, task: Task, step: ActiveStep) -> StepExit:
        """Run the step to its end, or follow it if an earlier process started it.

        Waits while the engine or the datastore does not answer, and tries again what may pass. Runs the step
        again if an engine that stopped has killed it, or another program removed it. Uses up no attempt.

        Raises StepFailed, ReleaseNeeded, Detached.
        """
        waits = self._waits(task, step)
        timeouts = StepTimeouts(self.context, self.defaults, task, step)
        timeouts.step_claimed()
        runs_again = False
        while step.stop_reason is None:
            try:
                if runs_again:
                    self._reset(task, step)
                runs_again = False
                exit_ = self._run_or_follow(task, step, waits, timeouts)
                runs_again = self._was_killed_with_engine(exit_, step, waits)
                if not runs_again:
                    return exit_
                log.warning("step.killed_with_engine", step=str(step.ref), code=exit_.code)
            except StepRemoved as error:
                runs_again = True
                waits.after_removal(error)
            except VolumesRemoved as error:
                raise _release_without_volumes(step, error) from error
            except EngineUnavailable as error:
                self._wait_for_engine(step, waits, error)
        return _KILLED_WHILE_WAITING

    def _waits(self, task: Task, step: ActiveStep) -> EngineWaits:
        return EngineWaits(
            step,
            stopping=self.stopping,
            longest=EngineWait.of(task.definition.timeout or self.defaults.timeout, self.engine_wait_s),
            has_other_worker=lambda: has_other_worker(self.context, task.queue),
        )

    def _run_or_follow(
        self, task: Task, step: ActiveStep, waits: EngineWaits, timeouts: StepTimeouts
    ) -> StepExit:
        def started() -> None:
            waits.container_started()
            step.timeline.started()
            timeouts.step_started()

        limits = limits_of(task.definition.limits, self.defaults.limits)
        run = step_run(task, step, limits, self.host_env)
        with MaskingThread(step, ship=self.shipper.ship, stopping=self.stopping) as sink:
            try:
                return self.context.runtime.run(run, sink, started=started)
            except AlreadyStarted:
                waits.engine_answered()
                step.timeline.adopted()
                timeouts.step_started()
                exit_ = self.context.runtime.follow(step.ref, sink)
                return exit_ if exit_ is not None else self.context.runtime.run(run, sink, started=started)

    def _was_killed_with_engine(self, exit_: StepExit, step: ActiveStep, waits: EngineWaits) -> bool:
        """Return whether an engine that stopped killed the step, so that its exit code is no outcome.

        Raises EngineUnavailable if the engine is stopping now.
        """
        if step.stop_reason is not None or exit_.note is not None or exit_.code not in _KILLED_CODES:
            return False
        if not waits.engine_was_away and not exit_.ended_before_follow:
            self.context.runtime.check(within_s=_CHECK_WITHIN_S)
            return False
        return True

    def _reset(self, task: Task, step: ActiveStep) -> None:
        """Remove the containers of the step, and expect its output from the first byte again."""
        for ref in containers_of(task, step.ref):
            self.context.runtime.reset_step(ref)
        self._ship_notes(step)
        step.output.restart()

    def _wait_for_engine(self, step: ActiveStep, waits: EngineWaits, error: EngineUnavailable) -> None:
        """Wait before the next try. Raises StepFailed, ReleaseNeeded, Detached."""
        InterruptibleBackoff(self.stopping).until_answered(lambda: self._restart_output(step))
        if step.stop_reason is not None:
            return
        error = self._outage_behind(error)
        if isinstance(error, EngineFailed):
            waits.after_failure(error)
        else:
            waits.after_no_answer(error)

    def _outage_behind(self, error: EngineUnavailable) -> EngineUnavailable:
        """Return why the engine does not answer, if it fails calls because it is stopping; else `error`."""
        if isinstance(error, EngineFailed):
            try:
                self.context.runtime.check(within_s=_CHECK_WITHIN_S)
            except EngineUnavailable as outage:
                return error if isinstance(outage, EngineFailed) else outage
        return error

    def _restart_output(self, step: ActiveStep) -> None:
        """Expect the output from its first byte again. Raises DatastoreUnavailable."""

        def stored_position() -> LogPosition:
            with self.context.database.reading() as tx:
                return logs.position(tx, step.ref)

        self._ship_notes(step)
        step.output.restart(stored_position)

    def _ship_notes(self, step: ActiveStep) -> None:
        """Store what would be lost otherwise: no container prints it again. Raises DatastoreUnavailable."""
        if not self.shipper.ship([step]):
            raise DatastoreUnavailable("the output of a step could not be stored")


def _release_without_volumes(step: ActiveStep, error: VolumesRemoved) -> Exception:
    """Return the exception that starts the task again from its first step, or fails a hopeless one."""
    if step.ref.delivery >= _MOST_DELIVERIES:
        return StepFailed(f"{error}, in delivery {step.ref.delivery} of the task")
    log.warning("step.volumes_removed", step=str(step.ref))
    step.output.note(f"{error}; the task starts again from its first step")
    return ReleaseNeeded(engine_away=False)
