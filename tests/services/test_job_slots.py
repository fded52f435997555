"""Jobs with the same concurrency key: as many are active as its limit allows, in order."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete

from tests.domain.samples import job_definition, leaf, parallel
from tests.services.fakes import FakeDispatcher
from tests.services.scheduled import created_jobs, make_due
from tests.services.scheduled import definition as scheduled_definition
from tests.store.stores import FlakyDatabase, job_now, tasks_of
from tork_celery.domain.definition import Concurrency, Defaults, JobDefinition
from tork_celery.domain.errors import Conflict, InvalidInput
from tork_celery.domain.model import Job, Task
from tork_celery.domain.states import JobState, Outcome
from tork_celery.services import job_control, schedule_firing, schedules
from tork_celery.services.context import ServiceContext
from tork_celery.services.recovery_sweep import RecoverySweep
from tork_celery.services.submit import submit
from tork_celery.store.tables import jobs as job_table

PENDING, SCHEDULED = JobState.PENDING, JobState.SCHEDULED
EndTask = Callable[[Task, Outcome], None]


def definition(key: str = "k", limit: int | str | None = None, **values: Any) -> JobDefinition:
    policy = values.pop("policy", None)
    return job_definition(concurrency=Concurrency(key=key, limit=limit, policy=policy), **values)


def states(database: FlakyDatabase, jobs: list[Job]) -> list[JobState]:
    return [job_now(database, job.id).state for job in jobs]


def submit_jobs(context: ServiceContext, number: int, **values: Any) -> list[Job]:
    return [submit(context, definition(**values))[0] for _ in range(number)]


@pytest.mark.covers("Job.concurrency", "Concurrency.key", "Concurrency.limit")
def test_jobs_beyond_the_limit_wait_without_tasks(context: ServiceContext, database: FlakyDatabase) -> None:
    jobs = submit_jobs(context, 4, limit=2)
    other = submit_jobs(context, 1, key="other")

    assert states(database, jobs + other) == [SCHEDULED, SCHEDULED, PENDING, PENDING, SCHEDULED]
    assert [job.state for job in jobs] == [SCHEDULED, SCHEDULED, PENDING, PENDING]
    assert jobs[2].position == 0
    assert tasks_of(database, jobs[2].id) == []


@pytest.mark.parametrize("outcome", [Outcome.COMPLETED, Outcome.FAILED])
def test_next_job_starts_when_one_has_ended(
    context: ServiceContext,
    database: FlakyDatabase,
    dispatcher: FakeDispatcher,
    end_task: EndTask,
    outcome: Outcome,
) -> None:
    first, second, third = submit_jobs(context, 3)

    end_task(tasks_of(database, first.id)[0], outcome)

    assert states(database, [second, third]) == [SCHEDULED, PENDING]
    assert [task.job_id for task in dispatcher.sent] == [first.id, second.id]


def test_cancel_of_a_waiting_job_takes_it_out_of_the_order(
    context: ServiceContext, database: FlakyDatabase
) -> None:
    first, second, third = submit_jobs(context, 3)

    job_control.cancel(context, second.id)
    job_control.cancel(context, first.id)

    assert states(database, [second, third]) == [JobState.CANCELLED, SCHEDULED]


def test_job_that_fails_in_its_first_expression_frees_its_slot(
    context: ServiceContext, database: FlakyDatabase
) -> None:
    [first] = submit_jobs(context, 1)
    broken, _ = submit(context, replace_tasks(definition(), leaf(env={"A": "{{ nope }}"})))
    [last] = submit_jobs(context, 1)

    job_control.cancel(context, first.id)

    assert states(database, [broken, last]) == [JobState.FAILED, SCHEDULED]


def replace_tasks(job: JobDefinition, *tasks: Any) -> JobDefinition:
    return JobDefinition(name=job.name, tasks=tasks, concurrency=job.concurrency)


def test_job_whose_first_task_is_a_composite_holds_a_slot(
    context: ServiceContext, database: FlakyDatabase
) -> None:
    submit(context, replace_tasks(definition(), parallel(leaf())))

    assert states(database, submit_jobs(context, 1)) == [PENDING]


def test_highest_priority_starts_first_and_then_the_oldest(
    context: ServiceContext, database: FlakyDatabase
) -> None:
    [running] = submit_jobs(context, 1)
    low = submit_jobs(context, 2)
    high = submit_jobs(context, 2, defaults=Defaults(priority=5))
    job_control.set_priority(context, low[1].id, 9)
    started = []

    for _ in range(4):
        job_control.cancel(context, running.id)
        [running] = [job for job in low + high if job_now(database, job.id).state is SCHEDULED]
        started.append(running.id)

    assert started == [low[1].id, high[0].id, high[1].id, low[0].id]


def test_each_job_waits_by_its_own_limit(context: ServiceContext, database: FlakyDatabase) -> None:
    wide = submit_jobs(context, 2, limit=3)
    narrow = submit_jobs(context, 1, limit=1)
    another = submit_jobs(context, 1, limit=3)

    assert states(database, wide + narrow + another) == [SCHEDULED, SCHEDULED, PENDING, SCHEDULED]
    for job in (*wide, *another):
        job_control.cancel(context, job.id)
    assert states(database, narrow) == [SCHEDULED]


@pytest.mark.covers("Concurrency.policy")
def test_job_is_rejected_if_its_policy_says_so(context: ServiceContext, database: FlakyDatabase) -> None:
    [first] = submit_jobs(context, 1)

    with pytest.raises(Conflict) as rejected:
        submit_jobs(context, 1, policy="reject")

    assert rejected.value.jobs == (first.id,)
    assert len(created_jobs(database)) == 1
    job_control.cancel(context, first.id)
    assert submit_jobs(context, 1, policy="reject")[0].state is SCHEDULED


def test_key_and_limit_are_templates_of_inputs(context: ServiceContext) -> None:
    keyed: dict[str, Any] = {"key": "{{ inputs.env }}-{{ job.name }}", "limit": "{{ inputs.limit }}"}

    def state(env: str) -> JobState:
        return submit_jobs(context, 1, **keyed, inputs={"env": env, "limit": "2"})[0].state

    assert [state("test"), state("test"), state("test"), state("live")] == [
        SCHEDULED,
        SCHEDULED,
        PENDING,
        SCHEDULED,
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"key": "{{ inputs.nope.x }}"}, "concurrency.key: "),
        ({"key": "{{ '' }}"}, "concurrency.key: expected 1 to 256 characters"),
        ({"key": "{{ tasks.a }}"}, "concurrency.key: "),
        ({"limit": "{{ 'many' }}"}, "concurrency.limit: 'many' is not a number from 1 to 10000"),
        ({"limit": "{{ 0 }}"}, "concurrency.limit: 0 is not a number"),
    ],
)
def test_job_with_an_invalid_key_or_limit_is_rejected(
    context: ServiceContext, database: FlakyDatabase, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        submit_jobs(context, 1, **values)

    assert created_jobs(database) == []


def test_restart_needs_a_slot(context: ServiceContext, database: FlakyDatabase) -> None:
    first, second = submit_jobs(context, 2)
    job_control.cancel(context, first.id)

    with pytest.raises(Conflict) as rejected:
        job_control.restart(context, first.id)

    assert rejected.value.jobs == (second.id,)
    job_control.cancel(context, second.id)
    job_control.restart(context, first.id)
    assert states(database, [first]) == [SCHEDULED]


def test_sweep_starts_jobs_that_a_crash_left_waiting(
    context: ServiceContext, database: FlakyDatabase, recovery_sweep: RecoverySweep
) -> None:
    first, second = submit_jobs(context, 2)
    with database.transaction() as tx:
        tx.execute(delete(job_table).where(job_table.c.id == first.id))

    recovery_sweep.sweep()

    assert states(database, [second]) == [SCHEDULED]


def test_submissions_of_the_same_moment_share_the_limit(
    context: ServiceContext, database: FlakyDatabase
) -> None:
    barrier = threading.Barrier(8)

    def run() -> None:
        barrier.wait()
        submit(context, definition(limit=3))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(job.state for job in created_jobs(database)) == [PENDING] * 5 + [SCHEDULED] * 3


@pytest.mark.parametrize(("policy", "number"), [("queue", 2), ("reject", 1)])
def test_firing_of_a_schedule_waits_or_is_skipped(
    context: ServiceContext, database: FlakyDatabase, policy: str, number: int
) -> None:
    concurrency = Concurrency(key="k", policy=policy)
    scheduled = schedules.create(context, scheduled_definition(concurrency=concurrency))
    for _ in range(2):
        make_due(database, scheduled)
        schedule_firing.fire_due(context)

    assert [job.state for job in created_jobs(database)][::-1] == [SCHEDULED, PENDING][:number]
