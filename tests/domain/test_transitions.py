"""Whatever happens to a job, in whatever order: only legal moves, and always an end."""

from dataclasses import replace

import pytest

from tests.domain.samples import RANDOM, job_definition, make_task, submission, task_definition
from tests.domain.simulated import Simulation
from tork_celery.domain import transitions
from tork_celery.domain.model import Job, Task
from tork_celery.domain.plan import Plan
from tork_celery.domain.states import JobState, Outcome, TaskState
from tork_celery.domain.transitions import MAX_LOSSES


def test_a_new_job_has_its_first_task_which_is_sent() -> None:
    plan = submission(task_definition(name="first"), task_definition(name="second"), now=7.0)

    assert (plan.job.state, plan.job.position, plan.job.created_at) == (JobState.SCHEDULED, 1, 7.0)
    [task] = plan.added
    assert plan.send == (task,)
    assert (task.job_id, task.position, task.definition.name) == (plan.job.id, 1, "first")
    assert (task.state, task.delivery, task.step, task.sent_at) == (TaskState.SCHEDULED, 1, 0, 7.0)


def begun(plan: Plan, **values: object) -> tuple[Job, Task]:
    [task] = plan.added
    return replace(plan.job, state=JobState.RUNNING), replace(task, state=TaskState.RUNNING, **values)  # type: ignore[arg-type]


def advance(job: Job, task: Task) -> Plan | None:
    return transitions.advance(job, task, Simulation(job_definition()), now=9.0, random=RANDOM)


def test_after_a_task_comes_the_next_one() -> None:
    job, task = begun(
        submission(task_definition(var="one"), task_definition(name="second")),
        outcome=Outcome.COMPLETED,
        result="42",
    )

    plan = advance(job, task)

    assert plan is not None
    assert (plan.job.state, plan.job.position, plan.job.progress) == (JobState.RUNNING, 2, 50.0)
    assert plan.job.results == {"one": "42"}
    assert plan.changed == (replace(task, state=TaskState.COMPLETED, ended_at=9.0),)
    assert plan.send == plan.added
    assert [added.definition.name for added in plan.added] == ["second"]


def test_after_the_last_task_the_job_is_completed() -> None:
    job, task = begun(submission(), outcome=Outcome.COMPLETED, ended_at=8.0)

    plan = advance(job, task)

    assert plan is not None
    assert (plan.job.state, plan.job.progress, plan.job.ended_at) == (JobState.COMPLETED, 100.0, 9.0)
    assert plan.changed == (replace(task, state=TaskState.COMPLETED, result=""),)
    assert plan.added == plan.send == ()


def test_a_task_that_failed_ends_its_job() -> None:
    job, task = begun(submission(task_definition(), task_definition()), outcome=Outcome.FAILED, error="e")

    plan = advance(job, task)

    assert plan is not None
    assert (plan.job.state, plan.job.error, plan.job.ended_at) == (JobState.FAILED, "e", 9.0)
    assert plan.added == plan.send == ()


@pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED])
def test_a_job_that_has_ended_stays(state: JobState) -> None:
    job, task = begun(submission(), outcome=Outcome.COMPLETED)

    assert advance(replace(job, state=state), task) is None


def test_a_task_whose_steps_have_not_ended_stays() -> None:
    assert advance(*begun(submission())) is None


def test_a_task_that_is_given_back_keeps_nothing_of_its_run() -> None:
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

    assert transitions.release(task, now=9.0) == replace(
        make_task(), id=task.id, job_id=task.job_id, delivery=4, losses=1, sent_at=9.0
    )


def test_a_task_that_is_lost_too_often_fails() -> None:
    task = make_task(state=TaskState.RUNNING, node="n", losses=MAX_LOSSES, step_running=True)

    failed = transitions.redeliver(task, now=9.0)

    assert (failed.outcome, failed.state, failed.step_running) == (Outcome.FAILED, TaskState.RUNNING, False)
    assert failed.error == "its worker was lost 6 times, the last one was n"


def test_a_task_that_only_ever_loses_its_nodes_comes_to_an_end() -> None:
    simulation = Simulation(job_definition())

    while claimable := simulation.claimable():
        simulation.claim(claimable[0])
        simulation.redeliver(simulation.running()[0])
        simulation.advance(simulation.tasks[claimable[0].id])

    assert simulation.job.state is JobState.FAILED
