"""The runs of a step and its sidecars, as a runtime takes them."""

from dataclasses import replace
from typing import Any

from tork_celery.domain.definition import Limits, StepDefinition
from tork_celery.domain.model import StepRef, Task
from tork_celery.runtime.protocol import SidecarRun, StepRun
from tork_celery.worker.active_steps import ActiveStep
from tork_celery.worker.host_environment import HostEnvironment


def containers_of(task: Task, ref: StepRef) -> list[StepRef]:
    """Return the references of all containers of a step: its sidecars, then the step itself.

    Sidecars are numbered after the steps of the task.
    """
    if ref.step != task.definition.main:
        return [ref]
    after = len(task.definition.steps)
    sidecars = range(after, after + len(task.definition.sidecars))
    return [*(replace(ref, step=number) for number in sidecars), ref]


def step_run(task: Task, step: ActiveStep, limits: Limits | None, host_env: HostEnvironment) -> StepRun:
    """Return the run of a step, the main step with its sidecars."""
    definition, ref = task.definition, step.ref
    shared = _shared_fields(task, limits)
    shared |= {"mask": step.output.masker.mask, "pulling": step.timeline.pulling}
    run = StepRun(**shared, ref=ref, **_own_fields(task, definition.steps[ref.step], host_env))
    if ref.step != definition.main:
        return run
    *refs, _ = containers_of(task, ref)
    sidecars = tuple(
        SidecarRun(**shared, ref=ref, **_own_fields(task, sidecar, host_env), probe=sidecar.probe)
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


def _own_fields(task: Task, definition: StepDefinition, host_env: HostEnvironment) -> dict[str, Any]:
    return {"definition": definition, "env": host_env.of_step(task, definition)}
