"""A retry waits until its time, and is in its queue then."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text

from tests.domain.samples import job_definition, task_definition
from tests.eventually import eventually
from tests.services.fakes import FakeDispatcher
from tests.store.stores import FlakyDatabase, seconds_now, store_task, task_now
from tork_celery.domain.definition import Retry
from tork_celery.domain.model import Task
from tork_celery.domain.states import Outcome, TaskState
from tork_celery.services import due_retries
from tork_celery.services.context import ServiceContext
from tork_celery.services.submit import submit
from tork_celery.store.publishing_window import SMALLEST_WINDOW
from tork_celery.store.tables import tasks as task_table


def store_retry(database: FlakyDatabase, *, in_s: float) -> Task:
    definition = task_definition(retry=Retry(limit=1))
    due_at = seconds_now(database) + in_s
    return store_task(database, definition, state=TaskState.PENDING, due_at=due_at, attempts=1)


def test_due_retry_is_scheduled_and_sent(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    retry = store_retry(database, in_s=-1)

    due_retries.schedule_due(context)

    now = task_now(database, retry.id)
    assert dispatcher.sent == [now]
    assert now.state is TaskState.SCHEDULED
    assert now.scheduled_at == pytest.approx(seconds_now(database), abs=5)


def test_retry_that_is_not_due_waits(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    retry = store_retry(database, in_s=60)

    due_retries.schedule_due(context)

    assert task_now(database, retry.id) == retry
    assert dispatcher.sent == []


def test_many_due_retries_are_scheduled_and_sent_within_the_window(
    context: ServiceContext,
    database: FlakyDatabase,
    dispatcher: FakeDispatcher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(due_retries, "_BATCH", 4)
    for _ in range(SMALLEST_WINDOW + 3):
        store_retry(database, in_s=-1)

    due_retries.schedule_due(context)

    with database.reading() as tx:
        assert set(tx.scalars(select(task_table.c.state))) == {TaskState.SCHEDULED}
    assert len(dispatcher.sent) == SMALLEST_WINDOW


def test_several_coordinators_send_a_retry_once(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    retries = {store_retry(database, in_s=-1).id for _ in range(SMALLEST_WINDOW)}

    with ThreadPoolExecutor(3) as threads:
        for done in [threads.submit(due_retries.schedule_due, context) for _ in range(3)]:
            done.result()

    assert sorted(dispatcher.sent_ids) == sorted(retries)


def test_time_until_the_next_retry_is_returned(context: ServiceContext, database: FlakyDatabase) -> None:
    assert due_retries.schedule_due(context) is None

    store_retry(database, in_s=60)
    store_retry(database, in_s=30)
    store_retry(database, in_s=-1)

    assert due_retries.schedule_due(context) == pytest.approx(30, abs=5)


def test_retry_that_cannot_be_decrypted_holds_up_no_other(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    damaged, retry = store_retry(database, in_s=-2), store_retry(database, in_s=-1)
    with database.transaction() as tx:
        statement = text("UPDATE tasks SET definition = '\"enc:00000000:token\"' WHERE id = :id")
        tx.execute(statement, {"id": damaged.id})

    assert due_retries.schedule_due(context) is None

    assert dispatcher.sent_ids == [retry.id]


def test_timer_wakes_up_when_a_retry_is_stored(
    context: ServiceContext,
    database: FlakyDatabase,
    dispatcher: FakeDispatcher,
    end_task: Callable[[Task, Outcome], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(due_retries, "_LONGEST_WAIT_S", 3600.0)
    retried = task_definition(retry=Retry(limit=1, initial_delay="1ms"))
    _, task = submit(context, job_definition(retried))
    timer = due_retries.RetryTimer(context)
    timer.start()
    try:
        end_task(task_now(database, task.id), Outcome.FAILED)
        eventually(lambda: len(dispatcher.sent) == 2)
    finally:
        timer.stop()

    assert dispatcher.sent[1].first_id == task.id
