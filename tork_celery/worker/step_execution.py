"""One claimed step on the runtime: its environment, its timeouts, its output, until it exits."""

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
    Runtime,
    SidecarRun,
    StepExit,
    StepRun,
    Stream,
)
from tork_celery.store import Database, claims, jobs, logs
from tork_celery.worker.active_steps import ActiveStep, ActiveSteps
from tork_celery.worker.backoff import Backoff
from tork_celery.worker.log_shipper import LogShipper
from tork_celery.worker.step_output import StepOutput

log = structlog.get_logger(__name__)

_KILLED = {137, 143, 255}  # by KILL, by TERM, or found dead by an engine that starts
_LEAVING_S = 1.0  # an engine whose socket another program keeps does not refuse: it does not answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """How the steps of one worker are run."""

    database: Database
    runtime: Runtime
    steps: ActiveSteps
    shipper: LogShipper
    node: str
    log_limit_bytes: int
    defaults: Defaults

    def new_step(self, task: Task, ref: StepRef, *, adopted: bool) -> ActiveStep:
        """Raises DatastoreUnavailable."""
        with self.database.reading() as tx:
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

    def run(self, task: Task, step: ActiveStep, backoff: Backoff) -> StepExit:
        """Run the step to its end, or follow it when an earlier process began it. While the engine or the
        datastore does not answer this waits, and a step that an engine took with it when it stopped runs
        again: neither uses up an attempt. Raises StepFailed, Detached."""
        engine_was_away = False
        while True:
            try:
                exit_ = self._run_or_follow(task, step)
                if not _killed_by_others(exit_, step):
                    return exit_
                if not engine_was_away and not exit_.ended_before_follow:
                    self.runtime.check(within_s=_LEAVING_S)  # it may be the engine's own end that killed it
                    return exit_
                log.warning("step.killed_with_engine", step=str(step.ref), code=exit_.code)
                for ref in containers_of(task, step.ref):
                    self.runtime.reset_step(ref)
                engine_was_away = False
                with step.output.storing:
                    step.output.restart(LogPosition())
            except EngineUnavailable as error:
                engine_was_away = True
                log.warning("step.engine_away", step=str(step.ref), reason=str(error))
                if not backoff.wait():
                    raise Detached from error
                backoff.until_answered(lambda: self._read_again(step))

    def _run_or_follow(self, task: Task, step: ActiveStep) -> StepExit:
        def sink(stream: Stream, data: bytes) -> None:
            step.output(stream, data)
            if step.output.full:
                self.shipper.make_room(step)

        def started() -> None:
            self._start_timers(task, step)

        run = _step_run(task, step.ref, limits_of(task.definition.limits, self.defaults.limits))
        try:
            return self.runtime.run(run, sink, started=started)
        except AlreadyStarted:
            started()
            found = self.runtime.follow(step.ref, sink)
            return found if found is not None else self.runtime.run(run, sink, started=started)

    def _start_timers(self, task: Task, step: ActiveStep) -> None:
        """The timeout of the task runs from its first container on, that of a step from the step's."""
        definition = task.definition.steps[step.ref.step]
        if step.ref.step != task.definition.main and definition.timeout:
            self.steps.kill_after(step, durations.seconds(definition.timeout), definition.timeout)
        if timeout := task.definition.timeout or self.defaults.timeout:
            left_s = self._left_s(step.ref, durations.seconds(timeout))
            if left_s is not None:
                self.steps.kill_after(step, left_s, timeout)

    def _left_s(self, ref: StepRef, timeout_s: float) -> float | None:
        """The seconds until the task's deadline. While the datastore is away that is the whole timeout: the
        container has started, and is not to run without an end."""
        try:
            with self.database.transaction() as tx:
                return claims.set_deadline(tx, ref, node=self.node, timeout_s=timeout_s)
        except DatastoreUnavailable as error:
            log.warning("step.deadline_not_stored", step=str(ref), reason=str(error))
            return timeout_s

    def _read_again(self, step: ActiveStep) -> None:
        """Its output comes from the beginning again: pass over what is stored."""
        with step.output.storing, self.database.reading() as tx:
            step.output.restart(logs.position(tx, step.ref))


def _killed_by_others(exit_: StepExit, step: ActiveStep) -> bool:
    """Not by this worker, nor for what the runtime knows of."""
    return step.stop_reason is None and exit_.note is None and exit_.code in _KILLED


def containers_of(task: Task, ref: StepRef) -> list[StepRef]:
    """What the run of a step may have made: its sidecars, and itself. The references of the sidecars come
    after those of the task's steps."""
    if ref.step != task.definition.main:
        return [ref]
    after = len(task.definition.steps)
    sidecars = range(after, after + len(task.definition.sidecars))
    return [*(replace(ref, step=number) for number in sidecars), ref]


def _step_run(task: Task, ref: StepRef, limits: Limits | None) -> StepRun:
    definition = task.definition
    common = _common(task, limits)
    run = StepRun(**common, ref=ref, **_own(definition.steps[ref.step]))
    if ref.step != definition.main:
        return run
    *refs, _ = containers_of(task, ref)
    sidecars = tuple(
        SidecarRun(**common, ref=ref, **_own(sidecar), probe=sidecar.probe)
        for ref, sidecar in zip(refs, definition.sidecars, strict=True)
    )
    return replace(run, workdir=definition.workdir, gpus=definition.gpus, sidecars=sidecars)


def _common(task: Task, limits: Limits | None) -> dict[str, Any]:
    """What all containers of a task are given."""
    return {
        "job_id": task.job_id,
        "mounts": task.definition.all_mounts,
        "networks": task.definition.networks,
        "limits": limits,
    }


def _own(definition: StepDefinition) -> dict[str, Any]:
    return {"definition": definition, "env": definition.env}
