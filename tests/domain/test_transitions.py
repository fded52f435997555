"""Decisions about one event: which rows change and what is sent."""

from dataclasses import replace
from typing import Any

import pytest

from tests.domain.samples import RANDOM, job_definition, make_task, submission, task_definition
from tests.domain.simulated import Simulation
from tork_celery.domain import transitions
from tork_celery.domain.model import Job, Task
from tork_celery.domain.plan import Plan
from tork_celery.domain.states import JobState, Outcome, TaskState
from tork_celery.domain.transitions import MAX_LOSSES


def test_submit_adds_and_schedules_the_first_task() -> None:
    plan = submission(task_definition(name="first"), task_definition(name="second"), now=7.0)

    assert (plan.job.state, plan.job.position, plan.job.created_at) == (JobState.SCHEDULED, 1, 7.0)
    [task] = plan.added
    assert plan.scheduled == (task,)
    assert (task.job_id, task.position, task.definition.name) == (plan.job.id, 1, "first")
    assert (task.state, task.delivery, task.step, task.sent_at) == (TaskState.SCHEDULED, 1, 0, None)


def running(plan: Plan, **values: Any) -> tuple[Job, Task]:
    """Return the job of a plan and its first task as they are after a claim."""
    [task] = plan.added
    return plan.job.with_state(JobState.RUNNING), replace(task.with_state(TaskState.RUNNING), **values)


def advance(job: Job, task: Task) -> Plan | None:
    return transitions.advance(job, task, Simulation(job_definition()), now=9.0, random=RANDOM)


def test_completed_task_starts_the_next_one() -> None:
    job, task = running(
        submission(task_definition(var="one"), task_definition(name="second")),
        outcome=Outcome.COMPLETED,
        result="42",
    )

    plan = advance(job, task)

    assert plan is not None
    assert (plan.job.state, plan.job.position, plan.job.progress) == (JobState.RUNNING, 2, 50.0)
    assert plan.results == {"one": "42"}
    assert plan.changed == (replace(task, state=TaskState.COMPLETED, ended_at=9.0),)
    assert plan.scheduled == plan.added
    assert [added.definition.name for added in plan.added] == ["second"]


def test_last_task_completes_the_job() -> None:
    job, task = running(submission(), outcome=Outcome.COMPLETED, ended_at=8.0)

    plan = advance(job, task)

    assert plan is not None
    assert (plan.job.state, plan.job.progress, plan.job.ended_at) == (JobState.COMPLETED, 100.0, 9.0)
    assert plan.changed == (replace(task, state=TaskState.COMPLETED, result=""),)
    assert plan.added == plan.scheduled == ()


def test_failed_task_fails_the_job() -> None:
    job, task = running(submission(task_definition(), task_definition()), outcome=Outcome.FAILED, error="e")

    plan = advance(job, task)

    assert plan is not None
    assert (plan.job.state, plan.job.error, plan.job.ended_at) == (JobState.FAILED, "e", 9.0)
    assert plan.added == plan.scheduled == ()


@pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED])
def test_ended_job_is_not_advanced(state: JobState) -> None:
    job, task = running(submission(), outcome=Outcome.COMPLETED)

    assert advance(replace(job, state=state), task) is None


def test_task_without_an_outcome_is_not_advanced() -> None:
    assert advance(*running(submission())) is None


def test_release_resets_a_task_for_its_next_delivery() -> None:
    task = make_task(
        state=TaskState.RUNNING,
        delivery=3,
        step=2,
        step_running=True,
        losses=1,
        node="n",
        lease_until=1.0,
        deadline_at=2.0,
        started_at=3.0,
        result="r",
        progress=50.0,
    )

    assert transitions.release(task, now=5.0, reason="n gave it back") == replace(
        make_task(),
        id=task.id,
        job_id=task.job_id,
        delivery=4,
        losses=1,
        marks='["waiting", 5.0, "n gave it back"],',
    )


def test_task_that_loses_its_node_too_often_fails() -> None:
    task = make_task(state=TaskState.RUNNING, node="n", losses=MAX_LOSSES, step_running=True)

    failed = transitions.redeliver(task, now=9.0, lease_s=3.0)

    assert (failed.outcome, failed.state, failed.step_running) == (Outcome.FAILED, TaskState.RUNNING, False)
    assert failed.error == "it lost its worker 6 times; the last one was n"


def test_task_that_always_loses_its_node_fails_in_the_end() -> None:
    simulation = Simulation(job_definition())

    while claimable := simulation.claimable():
        simulation.claim(claimable[0])
        simulation.redeliver(simulation.running()[0])
        simulation.advance(simulation.tasks[claimable[0].id])

    assert simulation.job.state is JobState.FAILED
