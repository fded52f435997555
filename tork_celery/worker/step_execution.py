"""The execution of one claimed step on the runtime, with its timeouts and outages."""

from dataclasses import dataclass, replace
from typing import Any

import structlog

from tork_celery.domain import durations
from tork_celery.domain.definition import Defaults, Limits, StepDefinition, limits_of
from tork_celery.domain.errors import DatastoreUnavailable, EngineUnavailable
from tork_celery.domain.logs import LogPosition
from tork_celery.domain.model import StepRef, Task
from tork_celery.domain.redaction import secrets_of_task
from tork_celery.runtime.protocol import (
    AlreadyStarted,
    Detached,
    SidecarRun,
    StepExit,
    StepRun,
    Stream,
)
from tork_celery.store import claims, jobs, logs
from tork_celery.worker.active_steps import ActiveStep
from tork_celery.worker.backoff import InterruptibleBackoff
from tork_celery.worker.context import WorkerContext
from tork_celery.worker.log_shipper import LogShipper
from tork_celery.worker.step_output import StepOutput

log = structlog.get_logger(__name__)

_KILLED_CODES = {137, 143, 255}  # by KILL, by TERM, found dead by an engine that starts
# An engine that shuts down may answer nothing rather than refuse, if another program keeps its socket.
_CHECK_WITHIN_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepExecution:
    """Runs steps for a worker. Thread-safe."""

    context: WorkerContext
    shipper: LogShipper
    log_limit_bytes: int
    defaults: Defaults

    def new_step(self, task: Task, ref: StepRef, *, adopted: bool) -> ActiveStep:
        """Return the step of a claimed task, ready to run. Raises DatastoreUnavailable."""
        with self.context.database.reading() as tx:
            secrets = jobs.secrets(tx, task.job_id)
            stored = logs.position(tx, ref) if adopted else LogPosition()
        output = StepOutput(
            task_id=task.id,
            step=ref.step,
            stored=stored,
            limit_bytes=self.log_limit_bytes,
            secrets={*secrets, *secrets_of_task(task.definition)},
        )
        return ActiveStep(ref=ref, job_id=task.job_id, output=output)

    def run(self, task: Task, step: ActiveStep, backoff: InterruptibleBackoff) -> StepExit:
        """Run the step to its end, or follow it if an earlier process started it.

        Waits while the engine or the datastore does not answer. Runs the step again if it was killed by an
        engine that stopped. Neither uses up an attempt.

        Raises StepFailed, Detached.
        """
        engine_was_away = False
        while True:
            try:
                exit_ = self._run_or_follow(task, step)
                if not _killed_by_others(exit_, step):
                    return exit_
                if not engine_was_away and not exit_.ended_before_follow:
                    self.context.runtime.check(
                        within_s=_CHECK_WITHIN_S
                    )  # fails if the engine killed the step to stop
                    return exit_
                log.warning("step.killed_with_engine", step=str(step.ref), code=exit_.code)
                for ref in containers_of(task, step.ref):
                    self.context.runtime.reset_step(ref)
                engine_was_away = False
                step.output.restart()
            except EngineUnavailable as error:
                engine_was_away = True
                log.warning("step.engine_away", step=str(step.ref), reason=str(error))
                if not backoff.wait():
                    raise Detached from error
                backoff.until_answered(lambda: self._restart_output(step))

    def _run_or_follow(self, task: Task, step: ActiveStep) -> StepExit:
        def sink(stream: Stream, data: bytes) -> None:
            step.output(stream, data)
            if step.output.full:
                self.shipper.make_room(step)

        def started() -> None:
            self._start_timers(task, step)

        run = _step_run(task, step.ref, limits_of(task.definition.limits, self.defaults.limits))
        try:
            return self.context.runtime.run(run, sink, started=started)
        except AlreadyStarted:
            started()
            exit_ = self.context.runtime.follow(step.ref, sink)
            return exit_ if exit_ is not None else self.context.runtime.run(run, sink, started=started)

    def _start_timers(self, task: Task, step: ActiveStep) -> None:
        """Start the timeouts. A task's counts from its first container, a step's from its own."""
        definition = task.definition.steps[step.ref.step]
        if step.ref.step != task.definition.main and definition.timeout:
            self.context.steps.kill_after(step, durations.seconds(definition.timeout), definition.timeout)
        if timeout := task.definition.timeout or self.defaults.timeout:
            left_s = self._left_s(step.ref, durations.seconds(timeout))
            if left_s is not None:
                self.context.steps.kill_after(step, left_s, timeout)

    def _left_s(self, ref: StepRef, timeout_s: float) -> float | None:
        """Return the seconds until the task's deadline, or None if the node does not hold the step.

        If the datastore is away, that is the whole timeout: the step has started and must not run forever.
        """
        try:
            with self.context.database.transaction() as tx:
                return claims.set_deadline(tx, ref, node=self.context.node, timeout_s=timeout_s)
        except DatastoreUnavailable as error:
            log.warning("step.deadline_not_stored", step=str(ref), reason=str(error))
            return timeout_s

    def _restart_output(self, step: ActiveStep) -> None:
        """Expect the output from its first byte again. Raises DatastoreUnavailable."""

        def stored_position() -> LogPosition:
            with self.context.database.reading() as tx:
                return logs.position(tx, step.ref)

        step.output.restart(stored_position)


def _killed_by_others(exit_: StepExit, step: ActiveStep) -> bool:
    """Return whether the step was killed by neither this worker nor a cause that the runtime knows."""
    return step.stop_reason is None and exit_.note is None and exit_.code in _KILLED_CODES


def containers_of(task: Task, ref: StepRef) -> list[StepRef]:
    """Return the references of all containers of a step: its sidecars, then the step itself.

    Sidecars are numbered after the steps of the task.
    """
    if ref.step != task.definition.main:
        return [ref]
    after = len(task.definition.steps)
    sidecars = range(after, after + len(task.definition.sidecars))
    return [*(replace(ref, step=number) for number in sidecars), ref]


def _step_run(task: Task, ref: StepRef, limits: Limits | None) -> StepRun:
    definition = task.definition
    shared = _shared_fields(task, limits)
    run = StepRun(**shared, ref=ref, **_own_fields(definition.steps[ref.step]))
    if ref.step != definition.main:
        return run
    *refs, _ = containers_of(task, ref)
    sidecars = tuple(
        SidecarRun(**shared, ref=ref, **_own_fields(sidecar), probe=sidecar.probe)
        for ref, sidecar in zip(refs, definition.sidecars, strict=True)
    )
    return replace(run, workdir=definition.workdir, gpus=definition.gpus, sidecars=sidecars)


def _shared_fields(task: Task, limits: Limits | None) -> dict[str, Any]:
    """Return the fields that all runs of a task have in common."""
    return {
        "job_id": task.job_id,
        "mounts": task.definition.all_mounts,
        "networks": task.definition.networks,
        "limits": limits,
    }


def _own_fields(definition: StepDefinition) -> dict[str, Any]:
    return {"definition": definition, "env": definition.env}
