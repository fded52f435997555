"""Whatever happens to a job, in whatever order: only legal moves, and always an end."""

from dataclasses import replace

import pytest
from domain.samples import a_task, new_id, submission, task_definition
from hypothesis import given
from hypothesis import strategies as st

from tork_celery.domain import flow
from tork_celery.domain.flow import MAX_LOSSES, Plan
from tork_celery.domain.model import Job, Task
from tork_celery.domain.states import JOB_MOVES, TASK_MOVES, JobState, Outcome, TaskState


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
    return flow.advance(job, task, now=9.0, new_id=new_id)


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
    assert plan.changed == (replace(task, state=TaskState.COMPLETED),)
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
    task = a_task(
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

    assert flow.give_back(task, now=9.0) == replace(
        a_task(), id=task.id, job_id=task.job_id, delivery=4, losses=1, sent_at=9.0
    )


def test_a_task_that_is_lost_too_often_fails() -> None:
    task = a_task(state=TaskState.RUNNING, node="n", losses=MAX_LOSSES, step_running=True)

    failed = flow.lose(task, now=9.0)

    assert (failed.outcome, failed.state, failed.step_running) == (Outcome.FAILED, TaskState.RUNNING, False)
    assert failed.error == "its worker was lost 6 times, the last one was n"


class Simulation:
    """A job, its current task, and the moves that both have made."""

    def __init__(self, tasks: int, steps: int) -> None:
        plan = submission(*(task_definition(post=steps - 1) for _ in range(tasks)))
        self.job, [self.task] = plan.job, plan.added
        self.sent = list(plan.send)

    def claim(self) -> None:
        if self.task.state is TaskState.SCHEDULED:
            self._move(replace(self.task, state=TaskState.RUNNING, node="n"))
            if self.job.state is JobState.SCHEDULED:
                self._move_job(replace(self.job, state=JobState.RUNNING))
        if self.at_work:
            self.task = replace(self.task, step_running=True)

    def finish(self) -> None:
        if self.at_work and self.task.step_running:
            last = self.task.step + 1 == len(self.task.definition.steps)
            outcome = Outcome.COMPLETED if last else None
            self.task = replace(self.task, step=self.task.step + 1, step_running=False, outcome=outcome)

    def fail(self) -> None:
        if self.at_work and self.task.step_running:
            self.task = replace(self.task, step_running=False, outcome=Outcome.FAILED, error="e")

    def lose(self) -> None:
        if self.at_work:
            delivery = self.task.delivery
            self._move(flow.lose(self.task, now=5.0))
            assert self.task.outcome is Outcome.FAILED or self.task.delivery == delivery + 1

    def give_back(self) -> None:
        if self.at_work:
            losses = self.task.losses
            self._move(flow.give_back(self.task, now=5.0))
            assert self.task.losses == losses

    def advance(self) -> None:
        plan = advance(self.job, self.task)
        if plan is None:
            return
        [ended] = plan.changed
        assert advance(plan.job, ended) is None, "it is idempotent"
        self._move(ended)
        self._move_job(plan.job)
        assert len(plan.added) == (0 if plan.job.state.ended else 1)
        assert plan.send == plan.added
        for task in plan.added:
            assert task.position == ended.position + 1
            self.task = task

    @property
    def at_work(self) -> bool:
        return self.task.state is TaskState.RUNNING and self.task.outcome is None

    def _move(self, task: Task) -> None:
        if task.state is not self.task.state:
            assert (self.task.state, task.state) in TASK_MOVES
        self.task = task

    def _move_job(self, job: Job) -> None:
        if job.state is not self.job.state:
            assert (self.job.state, job.state) in JOB_MOVES
        assert job.progress >= self.job.progress
        self.job = job


EVENTS = ("claim", "finish", "fail", "lose", "give_back", "advance")
GOOD = ("claim", "finish", "advance")


@given(
    tasks=st.integers(1, 3),
    steps=st.integers(1, 3),
    events=st.lists(st.sampled_from(EVENTS), max_size=60),
)
def test_any_order_of_events_makes_legal_moves_and_comes_to_an_end(
    tasks: int, steps: int, events: list[str]
) -> None:
    simulation = Simulation(tasks, steps)

    for event in events:
        getattr(simulation, event)()
    for event in GOOD * tasks * steps * 2:
        getattr(simulation, event)()

    job = simulation.job
    assert job.state.ended
    assert job.ended_at is not None
    assert (job.state is JobState.COMPLETED) == (job.progress == 100.0)
    assert (job.state is JobState.FAILED) == (job.error is not None)


def test_a_task_that_only_ever_loses_its_nodes_comes_to_an_end() -> None:
    simulation = Simulation(1, 1)

    for event in ("claim", "lose", "advance") * (MAX_LOSSES + 1):
        getattr(simulation, event)()

    assert simulation.job.state is JobState.FAILED


def test_an_ended_state_is_left_by_nobody_but_a_user() -> None:
    ended = {TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELLED, TaskState.STOPPED, TaskState.SKIPPED}

    assert {before for before, _ in TASK_MOVES}.isdisjoint(ended)
    assert {after for before, after in JOB_MOVES if before.ended} <= {JobState.SCHEDULED}
    assert JobState.COMPLETED not in {before for before, _ in JOB_MOVES}
