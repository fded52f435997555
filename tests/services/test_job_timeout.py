"""A job fails when its timeout has passed since its first task started."""

import pytest

from tests.domain.samples import job_definition, parallel, task_definition
from tests.services.fakes import FakeDispatcher
from tests.store.stores import FlakyDatabase, change, change_job, job_now, seconds_now, tasks_of
from tork_celery.domain.states import JobState, TaskState
from tork_celery.services import job_control
from tork_celery.services.context import ServiceContext
from tork_celery.services.recovery_sweep import RecoverySweep
from tork_celery.services.submit import submit

SLOW = job_definition(parallel(task_definition(name="a"), task_definition(name="b")), timeout="1h")


@pytest.mark.covers("Job.timeout")
def test_job_that_times_out_fails_and_its_tasks_are_stopped(
    context: ServiceContext,
    database: FlakyDatabase,
    dispatcher: FakeDispatcher,
    recovery_sweep: RecoverySweep,
) -> None:
    job, _ = submit(context, SLOW)
    running = tasks_of(database, job.id)[1]
    change(database, running, state=TaskState.RUNNING, node="n", step_running=True)
    change_job(database, job, started_at=seconds_now(database) - 3590)
    recovery_sweep.sweep()
    assert job_now(database, job.id).state is JobState.RUNNING

    change_job(database, job, started_at=seconds_now(database) - 3601)
    recovery_sweep.sweep()

    failed = job_now(database, job.id)
    assert (failed.state, failed.error) == (JobState.FAILED, "timed out after 1h")
    assert {task.state for task in tasks_of(database, job.id)} == {TaskState.STOPPED}
    assert [task.id for task in dispatcher.killed_steps] == [running.id]


def test_time_before_the_first_task_starts_does_not_count(
    context: ServiceContext, database: FlakyDatabase, recovery_sweep: RecoverySweep
) -> None:
    job, _ = submit(context, job_definition(timeout="1s"))
    change_job(database, job, created_at=1.0)

    recovery_sweep.sweep()

    assert job_now(database, job.id).state is JobState.SCHEDULED


def test_restart_begins_the_timeout_anew(
    context: ServiceContext, database: FlakyDatabase, recovery_sweep: RecoverySweep
) -> None:
    job, _ = submit(context, SLOW)
    change_job(database, job, started_at=seconds_now(database) - 3601)
    recovery_sweep.sweep()

    job_control.restart(context, job.id)
    recovery_sweep.sweep()

    restarted = job_now(database, job.id)
    assert (restarted.state, restarted.error) == (JobState.RUNNING, None)


def test_late_call_leaves_an_ended_job_alone(context: ServiceContext, database: FlakyDatabase) -> None:
    job, _ = submit(context, SLOW)
    change_job(database, job, started_at=1.0)
    job_control.cancel(context, job.id)

    job_control.time_out(context, job.id)

    assert job_now(database, job.id).state is JobState.CANCELLED
