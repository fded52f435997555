"""A job that fails or is cancelled ends at once; many tasks of it end in batches, each in one transaction."""

from collections import Counter
from collections.abc import Callable

import pytest
from sqlalchemy import select

from tests.domain.samples import job_definition, task_definition
from tests.services.fakes import FakeDispatcher
from tests.services.samples import each_job
from tests.store.stores import FlakyDatabase, change, job_now, tasks_of
from tork_celery.domain import plan_limits
from tork_celery.domain.definition import Each, TaskDefinition, Webhook
from tork_celery.domain.errors import WrongState
from tork_celery.domain.model import Job, Task
from tork_celery.domain.states import JobState, Outcome, TaskState
from tork_celery.services import early_end, job_control
from tork_celery.services.context import ServiceContext
from tork_celery.services.recovery_sweep import RecoverySweep
from tork_celery.services.submit import submit
from tork_celery.store import claims, composite_items
from tork_celery.store.tables import webhook_calls

BATCH = 4
CHILDREN = 10


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early_end, "MAX_ENDED_TASKS", BATCH)


@pytest.fixture
def job(context: ServiceContext) -> Job:
    """A job with more active tasks than a batch."""
    return submit(context, each_job(f"sequence(0, {CHILDREN})"))[0]


def states(database: FlakyDatabase, job: Job) -> Counter[TaskState]:
    return Counter(task.state for task in tasks_of(database, job.id))


def test_job_ends_first_and_its_tasks_in_batches(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher, job: Job
) -> None:
    job_control.cancel(context, job.id)

    ended = []
    while dispatcher.jobs_to_end:
        assert job_now(database, job.id).state is JobState.CANCELLED
        ended.append(states(database, job)[TaskState.CANCELLED])
        early_end.end_tasks(context, dispatcher.jobs_to_end.pop())

    assert ended == [BATCH, 2 * BATCH]
    assert states(database, job) == {TaskState.CANCELLED: CHILDREN + 1}


def test_items_without_children_go_with_the_last_batch(
    context: ServiceContext, database: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_limits, "MAX_BATCH", BATCH - 1)
    job, parent = submit(context, each_job("sequence(0, 20)", concurrency=1))

    job_control.cancel(context, job.id)
    early_end.end_tasks(context, job.id)

    assert states(database, job) == {TaskState.CANCELLED: BATCH}
    with database.reading() as tx, pytest.raises(LookupError):
        composite_items.get(tx, parent, BATCH - 1)


def test_failed_child_stops_many_siblings_in_batches(
    context: ServiceContext,
    database: FlakyDatabase,
    dispatcher: FakeDispatcher,
    job: Job,
    end_task: Callable[[Task, Outcome], None],
) -> None:
    end_task(dispatcher.sent[0], Outcome.FAILED)
    assert states(database, job)[TaskState.STOPPED] == BATCH

    while dispatcher.jobs_to_end:
        early_end.end_tasks(context, dispatcher.jobs_to_end.pop())

    assert states(database, job) == {TaskState.FAILED: 2, TaskState.STOPPED: CHILDREN - 1}


def test_sweep_continues_after_a_crash_between_two_batches(
    context: ServiceContext, database: FlakyDatabase, job: Job
) -> None:
    job_control.cancel(context, job.id)

    for _ in range(CHILDREN // BATCH + 1):
        RecoverySweep(context).sweep()

    assert states(database, job) == {TaskState.CANCELLED: CHILDREN + 1}


def test_running_tasks_end_first(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher, job: Job
) -> None:
    last = change(database, dispatcher.sent[-1], state=TaskState.RUNNING, node="n", step_running=True)

    job_control.cancel(context, job.id)

    assert [task.id for task in dispatcher.killed_steps] == [last.id]


def test_task_that_is_still_to_end_is_not_claimed(
    context: ServiceContext, database: FlakyDatabase, job: Job
) -> None:
    job_control.cancel(context, job.id)
    active = [task for task in tasks_of(database, job.id) if task.state is TaskState.SCHEDULED]
    assert active

    with database.transaction() as tx:
        assert [claims.claim(tx, task.ref, node="n", lease_s=9.0) for task in active] == [None] * len(active)


def test_job_is_not_restarted_or_deleted_before_all_its_tasks_have_ended(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher, job: Job
) -> None:
    job_control.cancel(context, job.id)
    for act in (job_control.restart, job_control.delete):
        with pytest.raises(WrongState, match="still being stopped; try again in a moment"):
            act(context, job.id)

    while dispatcher.jobs_to_end:
        early_end.end_tasks(context, dispatcher.jobs_to_end.pop())
    job_control.restart(context, job.id)

    assert states(database, job)[TaskState.SCHEDULED] == CHILDREN


def test_second_message_for_the_same_batch_changes_nothing(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher, job: Job
) -> None:
    job_control.cancel(context, job.id)
    while dispatcher.jobs_to_end:
        early_end.end_tasks(context, dispatcher.jobs_to_end.pop())
    before = tasks_of(database, job.id)

    early_end.end_tasks(context, job.id)
    early_end.end_tasks(context, "unknown")

    assert (tasks_of(database, job.id), dispatcher.jobs_to_end) == (before, [])


def test_each_ended_task_is_reported_once(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    each = Each(list=f"sequence(0, {CHILDREN})", task=task_definition())
    hook = Webhook(url="http://h/", event="task.StateChange", if_="task.state == 'CANCELLED'")
    definition = job_definition(TaskDefinition(name="each", each=each), webhooks=(hook,))
    job, _ = submit(context, definition)

    job_control.cancel(context, job.id)
    assert states(database, job)[TaskState.CANCELLED] == BATCH // 2, "a call counts like a task"
    while dispatcher.jobs_to_end:
        early_end.end_tasks(context, dispatcher.jobs_to_end.pop())

    with database.reading() as tx:
        streams = tx.scalars(select(webhook_calls.c.stream)).all()
    assert sorted(streams) == sorted(f"{task.id}-0" for task in tasks_of(database, job.id))
