"""What a schedule does while an earlier job of it has not ended."""

import contextlib
import threading
from dataclasses import replace

import pytest

from tests.domain.samples import leaf, parallel
from tests.services.fakes import FakeDispatcher
from tests.services.scheduled import created_jobs, definition, make_due
from tests.store.stores import FlakyDatabase, job_now, tasks_of
from tork_celery.domain.definition import TaskDefinition
from tork_celery.domain.errors import Conflict, NotFound
from tork_celery.domain.scheduled_job import ScheduledJob
from tork_celery.domain.states import JobState
from tork_celery.services import job_control, schedule_firing, schedules
from tork_celery.services.context import ServiceContext

PENDING, SCHEDULED, CANCELLED = JobState.PENDING, JobState.SCHEDULED, JobState.CANCELLED


def create(context: ServiceContext, overlap: str) -> ScheduledJob:
    return schedules.create(context, definition(schedule={"overlap": overlap}))


def fire(context: ServiceContext, database: FlakyDatabase, scheduled: ScheduledJob) -> list[JobState]:
    """Fire a schedule, and return the states of its jobs, oldest first."""
    make_due(database, scheduled)
    schedule_firing.fire_due(context)
    return states(database)


def states(database: FlakyDatabase) -> list[JobState]:
    return [job.state for job in created_jobs(database)][::-1]


@pytest.mark.covers("Schedule.overlap")
@pytest.mark.parametrize(
    ("overlap", "second", "third"),
    [
        ("allow", [SCHEDULED, SCHEDULED], [SCHEDULED, SCHEDULED, SCHEDULED]),
        ("skip", [SCHEDULED], [SCHEDULED]),
        ("queue", [SCHEDULED, PENDING], [SCHEDULED, PENDING]),
        ("replace", [CANCELLED, SCHEDULED], [CANCELLED, CANCELLED, SCHEDULED]),
    ],
)
def test_firing_while_an_earlier_job_has_not_ended(
    context: ServiceContext,
    database: FlakyDatabase,
    overlap: str,
    second: list[JobState],
    third: list[JobState],
) -> None:
    scheduled = create(context, overlap)

    assert fire(context, database, scheduled) == [SCHEDULED]
    assert fire(context, database, scheduled) == second
    assert fire(context, database, scheduled) == third


@pytest.mark.parametrize("overlap", ["skip", "queue", "replace"])
def test_jobs_of_other_schedules_and_submitted_jobs_do_not_count(
    context: ServiceContext, database: FlakyDatabase, overlap: str
) -> None:
    for _ in range(2):
        fire(context, database, create(context, overlap))

    assert states(database) == [SCHEDULED, SCHEDULED]


def test_waiting_job_has_no_tasks_and_starts_when_the_earlier_one_has_ended(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    scheduled = create(context, "queue")
    fire(context, database, scheduled)
    fire(context, database, scheduled)
    waiting, running = created_jobs(database)
    schedule_firing.fire_due(context)
    assert (waiting.state, waiting.position, tasks_of(database, waiting.id)) == (PENDING, 0, [])

    job_control.cancel(context, running.id)
    schedule_firing.fire_due(context)

    assert job_now(database, waiting.id).state is SCHEDULED
    assert [task.job_id for task in dispatcher.sent] == [running.id, waiting.id]
    assert fire(context, database, scheduled) == [CANCELLED, SCHEDULED, PENDING]


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (leaf(if_="false"), JobState.COMPLETED),
        (leaf(env={"A": "{{ nope }}"}), JobState.FAILED),
        (parallel(leaf()), JobState.RUNNING),
    ],
)
def test_start_takes_a_waiting_job_as_far_as_it_goes(
    context: ServiceContext, task: TaskDefinition, expected: JobState
) -> None:
    definition_ = replace(definition(schedule={"overlap": "queue"}), tasks=(task,))
    scheduled = schedules.create(context, definition_)

    assert schedule_firing.fire_now(context, scheduled.id).state is expected


def test_cancelled_waiting_job_makes_room_for_the_next_one(
    context: ServiceContext, database: FlakyDatabase
) -> None:
    scheduled = create(context, "queue")
    fire(context, database, scheduled)
    fire(context, database, scheduled)

    job_control.cancel(context, created_jobs(database)[0].id)

    assert fire(context, database, scheduled) == [SCHEDULED, CANCELLED, PENDING]


@pytest.mark.parametrize(("overlap", "number"), [("skip", 1), ("queue", 2)])
def test_concurrent_runs_obey_overlap(
    context: ServiceContext, database: FlakyDatabase, overlap: str, number: int
) -> None:
    scheduled = create(context, overlap)
    barrier = threading.Barrier(4)

    def run() -> None:
        barrier.wait()
        with contextlib.suppress(Conflict):
            schedule_firing.fire_now(context, scheduled.id)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(created_jobs(database)) == number


def test_run_makes_a_job_of_a_paused_schedule(context: ServiceContext, database: FlakyDatabase) -> None:
    scheduled = create(context, "allow")
    schedules.pause(context, scheduled.id)

    job = schedule_firing.fire_now(context, scheduled.id)

    assert job == created_jobs(database)[0]
    assert job.definition.schedule is not None
    assert job.definition.schedule.id == scheduled.id
    assert schedules.get(context, scheduled.id).next_at is None


def test_run_returns_the_job_that_waits(context: ServiceContext, database: FlakyDatabase) -> None:
    scheduled = create(context, "queue")
    schedule_firing.fire_now(context, scheduled.id)

    waiting = schedule_firing.fire_now(context, scheduled.id)

    assert waiting.state is PENDING
    assert schedule_firing.fire_now(context, scheduled.id).id == waiting.id
    assert states(database) == [SCHEDULED, PENDING]


def test_run_replaces_the_job_that_runs(context: ServiceContext, database: FlakyDatabase) -> None:
    scheduled = create(context, "replace")
    schedule_firing.fire_now(context, scheduled.id)

    assert schedule_firing.fire_now(context, scheduled.id).state is SCHEDULED
    assert states(database) == [CANCELLED, SCHEDULED]


def test_unknown_schedule_is_not_run(context: ServiceContext) -> None:
    with pytest.raises(NotFound, match="no scheduled job with the id 'x'"):
        schedule_firing.fire_now(context, "x")
