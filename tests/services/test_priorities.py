"""The priority of what waits changes."""

from collections.abc import Callable

import pytest

from tests.domain.samples import job_definition, parallel, task_definition
from tests.services.fakes import FakeDispatcher
from tests.services.samples import each_job
from tests.store.stores import FlakyDatabase, change, task_now, tasks_of
from tork_celery.domain.errors import NotFound, WrongState
from tork_celery.domain.model import Task
from tork_celery.domain.states import Outcome, TaskState
from tork_celery.services import job_control
from tork_celery.services.context import ServiceContext
from tork_celery.services.submit import submit

Ended = Callable[[Task, Outcome], None]


def by_name(database: FlakyDatabase, job_id: str) -> dict[str | None, Task]:
    return {task.definition.name: task for task in tasks_of(database, job_id)}


def test_waiting_task_is_sent_again_by_its_new_priority(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    job, task = submit(context, job_definition(task_definition(priority=3)))

    job_control.set_priority(context, job.id, 9)

    changed = task_now(database, task.id)
    assert (changed.priority, changed.definition.priority, changed.delivery) == (9, 9, 2)
    assert [(sent.id, sent.delivery, sent.priority) for sent in dispatcher.sent] == [
        (task.id, 1, 3),
        (task.id, 2, 9),
    ]


def test_begun_task_keeps_its_priority(context: ServiceContext, database: FlakyDatabase) -> None:
    job, _ = submit(context, job_definition(parallel(task_definition(name="a"), task_definition(name="b"))))
    change(database, by_name(database, job.id)["a"], state=TaskState.RUNNING, node="n")

    job_control.set_priority(context, job.id, 5)

    tasks = by_name(database, job.id)
    assert (tasks["a"].priority, tasks["a"].delivery) == (0, 1)
    assert (tasks["b"].priority, tasks["b"].delivery) == (5, 2)


@pytest.mark.parametrize(("own", "expected"), [(None, 7), (2, 2), (0, 0)])
def test_later_task_without_a_priority_of_its_own_has_that_of_the_job(
    context: ServiceContext, database: FlakyDatabase, end_task: Ended, own: int | None, expected: int
) -> None:
    later = task_definition(name="later", priority=own)
    job, task = submit(context, job_definition(task_definition(), later))
    job_control.set_priority(context, job.id, 7)

    end_task(task_now(database, task.id), Outcome.COMPLETED)

    assert by_name(database, job.id)["later"].priority == expected


def test_priority_of_a_child_that_has_not_started_holds_when_it_starts(
    context: ServiceContext, database: FlakyDatabase, end_task: Ended
) -> None:
    job, _ = submit(context, each_job("[1, 2]", concurrency=1))
    first, second = tasks_of(database, job.id)[1:]
    assert second.state is TaskState.CREATED

    job_control.set_task_priority(context, second.id, 4)
    end_task(task_now(database, first.id), Outcome.COMPLETED)

    assert task_now(database, second.id).priority == 4


def test_lowered_priority_of_a_retry_holds(context: ServiceContext, database: FlakyDatabase) -> None:
    _, task = submit(context, job_definition(task_definition(priority=9)))
    change(database, task, state=TaskState.PENDING, due_at=1e12)

    job_control.set_task_priority(context, task.id, 0)

    assert task_now(database, task.id).definition.priority == 0


def test_priority_of_a_begun_task_or_an_ended_job_is_not_changed(
    context: ServiceContext, database: FlakyDatabase
) -> None:
    job, task = submit(context, job_definition(task_definition()))
    change(database, task, state=TaskState.RUNNING, node="n")
    with pytest.raises(WrongState, match="the task has begun or ended"):
        job_control.set_task_priority(context, task.id, 5)

    job_control.cancel(context, job.id)
    with pytest.raises(WrongState, match="the job is CANCELLED"):
        job_control.set_priority(context, job.id, 5)


def test_unknown_job_or_task_has_no_priority(context: ServiceContext) -> None:
    with pytest.raises(NotFound):
        job_control.set_priority(context, "x", 5)
    with pytest.raises(NotFound):
        job_control.set_task_priority(context, "x", 5)
