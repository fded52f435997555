"""Tasks beyond the window of their queue wait in the datastore, and are sent when there is room."""

from collections.abc import Callable

from sqlalchemy import select

from tests.domain.samples import job_definition, task_definition
from tests.services.fakes import FakeDispatcher
from tests.services.samples import each_job
from tests.services.sweeping import LOST, Sweep
from tests.store.stores import FlakyDatabase, change, store_task, task_now
from tork_celery.domain.model import Task
from tork_celery.domain.states import Outcome, TaskState
from tork_celery.services import early_end, job_control, queues
from tork_celery.services.context import ServiceContext
from tork_celery.services.submit import submit
from tork_celery.store.publishing_window import SMALLEST_WINDOW
from tork_celery.store.tables import tasks as task_table

BEYOND = 3


def submit_many(context: ServiceContext, number: int, *, queue: str = "default") -> list[Task]:
    definition = job_definition(task_definition(queue=queue))
    return [submit(context, definition)[1] for _ in range(number)]


def sent_names(dispatcher: FakeDispatcher) -> list[str | None]:
    return [task.definition.name for task in dispatcher.sent]


def test_submitted_task_beyond_the_window_waits_in_the_datastore(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    submitted = submit_many(context, SMALLEST_WINDOW + BEYOND)

    assert dispatcher.sent_ids == [task.id for task in submitted[:SMALLEST_WINDOW]]
    waiting = [task_now(database, task.id) for task in submitted[SMALLEST_WINDOW:]]
    assert [(task.state, task.sent_at) for task in waiting] == [(TaskState.SCHEDULED, None)] * BEYOND


def test_children_beyond_the_window_wait_in_the_datastore(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    job, _ = submit(context, each_job("sequence(0, 50)"))

    with database.reading() as tx:
        query = select(task_table.c.index).where(task_table.c.job_id == job.id, task_table.c.sent_at > 0)
        assert sorted(tx.scalars(query)) == list(range(SMALLEST_WINDOW))
    assert [task.index for task in dispatcher.sent] == list(range(SMALLEST_WINDOW))


def test_next_task_of_an_older_job_is_sent_before_waiting_ones(
    context: ServiceContext,
    database: FlakyDatabase,
    dispatcher: FakeDispatcher,
    end_task: Callable[[Task, Outcome], None],
) -> None:
    two_tasks = job_definition(task_definition(name="first"), task_definition(name="second"))
    _, first = submit(context, two_tasks)
    submit_many(context, SMALLEST_WINDOW + BEYOND)

    end_task(task_now(database, first.id), Outcome.COMPLETED)

    assert sent_names(dispatcher).count("second") == 1
    assert dispatcher.sent[-1].definition.name == "second"


def test_cancelled_tasks_make_room(context: ServiceContext, dispatcher: FakeDispatcher) -> None:
    submitted = submit_many(context, SMALLEST_WINDOW + BEYOND)

    job_control.cancel(context, submitted[0].job_id)

    assert dispatcher.sent_ids == [task.id for task in submitted[: SMALLEST_WINDOW + 1]]


def test_tasks_that_end_in_later_batches_make_room(
    context: ServiceContext, dispatcher: FakeDispatcher
) -> None:
    large, _ = submit(context, each_job(f"sequence(0, {early_end.MAX_ENDED_TASKS + 1})"))
    while dispatcher.parents_to_start:
        dispatcher.parents_to_start.pop()
    other, *_ = submit_many(context, 1)
    assert other.id not in dispatcher.sent_ids

    job_control.cancel(context, large.id)
    while dispatcher.jobs_to_end:
        early_end.end_tasks(context, dispatcher.jobs_to_end.pop())

    assert dispatcher.sent_ids[-1] == other.id


def test_lost_task_keeps_its_place(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher, sweep_at: Sweep
) -> None:
    lost = store_task(database, **LOST, job_created_at=1.0)
    submitted = submit_many(context, SMALLEST_WINDOW + BEYOND)
    dispatcher.depths["default"] = SMALLEST_WINDOW
    sweep_at(0, 10)
    assert task_now(database, lost.id).state is TaskState.SCHEDULED

    change(database, task_now(database, submitted[0].id), state=TaskState.COMPLETED)
    sweep_at(1)

    assert dispatcher.sent_ids[SMALLEST_WINDOW:] == [lost.id]


def test_sweep_fills_windows(database: FlakyDatabase, dispatcher: FakeDispatcher, sweep_at: Sweep) -> None:
    task = store_task(database)
    dispatcher.depths["default"] = 1

    sweep_at(0, 2)

    assert dispatcher.sent_ids == [task.id]
    assert task_now(database, task.id).sent_at is not None


def test_purged_queue_is_filled_by_priority_and_age(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher, sweep_at: Sweep
) -> None:
    submitted = submit_many(context, SMALLEST_WINDOW + BEYOND, queue="gpu")
    urgent = submit(context, job_definition(task_definition(queue="gpu", priority=9)))[1]
    dispatcher.sent.clear()

    queues.purge(context, "gpu")
    assert [task_now(database, task.id).sent_at for task in submitted] == [None] * len(submitted)
    sweep_at(0)

    first = [urgent, *submitted][:SMALLEST_WINDOW]
    assert dispatcher.sent_ids == [task.id for task in first]
