"""Cancelling, restarting and deleting jobs, with their subjobs and parent jobs."""

from collections.abc import Callable

import pytest

from tests.domain.samples import job_definition, task_definition
from tests.services.fakes import FakeDispatcher
from tests.services.samples import PARALLEL, SUBJOB
from tests.store.stores import FlakyDatabase, change, change_job, job_now, tasks_of
from tork_celery.domain.errors import NotFound, WrongState
from tork_celery.domain.model import Task
from tork_celery.domain.states import JobState, Outcome, TaskState
from tork_celery.services import job_control
from tork_celery.services.context import ServiceContext
from tork_celery.services.submit import submit


def test_cancel_kills_running_steps(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    job, task = submit(context, job_definition(task_definition()))
    change(database, task, state=TaskState.RUNNING, node="n", step_running=True)

    job_control.cancel(context, job.id)

    assert [(killed.id, killed.node) for killed in dispatcher.killed_steps] == [(task.id, "n")]
    assert [run.state for run in tasks_of(database, job.id)] == [TaskState.CANCELLED]


def test_second_cancel_is_rejected(context: ServiceContext) -> None:
    job, task = submit(context, job_definition(task_definition()))
    job_control.cancel_task(context, task.id)

    with pytest.raises(WrongState, match="the job is CANCELLED"):
        job_control.cancel(context, job.id)


@pytest.mark.parametrize("cancelled", ["parent job", "subjob"])
def test_cancel_reaches_subjob_and_parent_job(
    context: ServiceContext,
    database: FlakyDatabase,
    dispatcher: FakeDispatcher,
    sent_task: Callable[[str], Task],
    cancelled: str,
) -> None:
    job, _ = submit(context, job_definition(PARALLEL))
    subjob_id = sent_task("in").job_id

    job_control.cancel(context, job.id if cancelled == "parent job" else subjob_id)
    for job_id in dispatcher.cancelled_subjobs:
        job_control.cancel_subjob(context, job_id)

    for job_id in (job.id, subjob_id):
        assert job_now(database, job_id).state is JobState.CANCELLED
        assert {task.state for task in tasks_of(database, job_id)} == {TaskState.CANCELLED}


def test_cancel_subjob_ignores_ended_and_unknown_jobs(context: ServiceContext) -> None:
    job, _ = submit(context, job_definition(task_definition()))
    job_control.cancel(context, job.id)

    job_control.cancel_subjob(context, job.id)
    job_control.cancel_subjob(context, "unknown")


def test_restart_of_subjob_restarts_its_parent_job(
    context: ServiceContext,
    database: FlakyDatabase,
    dispatcher: FakeDispatcher,
    sent_task: Callable[[str], Task],
    end_task: Callable[[Task, Outcome], None],
) -> None:
    job, _ = submit(context, job_definition(SUBJOB))
    first = sent_task("in")
    end_task(first, Outcome.FAILED)
    assert job_now(database, job.id).state is JobState.FAILED

    job_control.restart(context, first.job_id)

    second = dispatcher.sent[-1]
    assert second.definition.name == "in"
    assert second.job_id != first.job_id
    assert job_now(database, job.id).state is JobState.RUNNING
    with pytest.raises(WrongState):
        job_control.restart(context, first.job_id)


def test_job_with_active_subjob_or_parent_job_cannot_be_deleted(
    context: ServiceContext, database: FlakyDatabase, sent_task: Callable[[str], Task]
) -> None:
    job, _ = submit(context, job_definition(SUBJOB))
    subjob = job_now(database, sent_task("in").job_id)

    change_job(database, subjob, state=JobState.COMPLETED)
    with pytest.raises(WrongState, match="parent job or one of its subjobs is still active"):
        job_control.delete(context, subjob.id)
    change_job(database, subjob, state=JobState.RUNNING)
    change_job(database, job, state=JobState.CANCELLED)
    with pytest.raises(WrongState, match="parent job or one of its subjobs is still active"):
        job_control.delete(context, job.id)

    job_control.cancel(context, subjob.id)
    job_control.delete(context, job.id)


@pytest.mark.parametrize("act", [job_control.cancel, job_control.restart, job_control.delete])
def test_unknown_job_is_not_found(
    context: ServiceContext, act: Callable[[ServiceContext, str], None]
) -> None:
    with pytest.raises(NotFound, match="no job with the id 'unknown'"):
        act(context, "unknown")


def test_unknown_task_is_not_found(context: ServiceContext) -> None:
    with pytest.raises(NotFound, match="no task with the id 'unknown'"):
        job_control.cancel_task(context, "unknown")
