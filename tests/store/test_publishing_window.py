"""The window of a queue: how many of its waiting tasks are sent, and which ones."""

from collections.abc import Iterable
from typing import Any

import pytest
from sqlalchemy import text

from tests.domain.samples import task_definition
from tests.store.stores import FlakyDatabase, change, change_job, store_job, store_task, task_now
from tork_celery.domain.model import Task
from tork_celery.domain.node import Node
from tork_celery.domain.states import TaskState
from tork_celery.store import nodes, publishing_window, tasks
from tork_celery.store.publishing_window import MESSAGES_PER_SLOT, SMALLEST_WINDOW

LEASE_S = 10.0
GPU = task_definition(queue="gpu")


def register(database: FlakyDatabase, name: str, *queues: str, slots: int) -> None:
    node = Node(name=name, instance="1", hostname="here", pid=1, queues=queues, slots=slots, version="0")
    with database.transaction() as tx:
        nodes.register(tx, node)


def send_next(database: FlakyDatabase, *queues: str, known: Iterable[Task] = ()) -> list[Task]:
    with database.transaction() as tx:
        return publishing_window.mark_next_sent(tx, queues or ["default"], lease_s=LEASE_S, known=known)


def queues_with_room(database: FlakyDatabase) -> list[str]:
    with database.reading() as tx:
        return publishing_window.queues_with_room(tx, lease_s=LEASE_S)


def store_tasks(database: FlakyDatabase, number: int, **values: Any) -> list[Task]:
    return [store_task(database, job_created_at=float(index), **values) for index in range(number)]


def test_tasks_are_sent_until_the_window_is_full(database: FlakyDatabase) -> None:
    stored = store_tasks(database, SMALLEST_WINDOW + 3)

    sent = send_next(database)

    assert [task.id for task in sent] == [task.id for task in stored[:SMALLEST_WINDOW]]
    assert sent == [task_now(database, task.id) for task in sent]
    assert all(task.sent_at for task in sent)
    assert send_next(database) == []


@pytest.mark.parametrize("state", [TaskState.RUNNING, TaskState.CANCELLED])
def test_task_that_no_longer_waits_makes_room(database: FlakyDatabase, state: TaskState) -> None:
    stored = store_tasks(database, SMALLEST_WINDOW + 3)
    first, *_ = send_next(database)
    change(database, first, state=state)

    assert [task.id for task in send_next(database)] == [stored[SMALLEST_WINDOW].id]


def test_window_grows_with_the_slots_of_live_workers(database: FlakyDatabase) -> None:
    register(database, "a@here", "default", "gpu", slots=10)
    register(database, "b@here", "default", slots=5)
    register(database, "c@here", "gpu", slots=50)
    register(database, "stopped@here", "default", slots=50)
    register(database, "dead@here", "default", slots=50)
    with database.transaction() as tx:
        nodes.record_stop(tx, name="stopped@here", instance="1")
        tx.execute(text("UPDATE nodes SET heartbeat_at = 1 WHERE name = 'dead@here'"))
    store_tasks(database, 40)

    assert len(send_next(database)) == 15 * MESSAGES_PER_SLOT


def test_few_slots_have_the_smallest_window(database: FlakyDatabase) -> None:
    register(database, "a@here", "default", slots=1)
    store_tasks(database, 20)

    assert len(send_next(database)) == SMALLEST_WINDOW


def test_window_that_has_shrunk_takes_no_further_tasks(database: FlakyDatabase) -> None:
    store_tasks(database, SMALLEST_WINDOW + 2, sent_at=5.0)
    store_task(database)

    assert send_next(database) == []


def test_tasks_are_sent_by_priority_then_age_of_the_job_then_position(database: FlakyDatabase) -> None:
    def store(priority: int, created_at: float, position: int, index: int = 0) -> str:
        task = store_task(
            database,
            task_definition(priority=priority),
            job_created_at=created_at,
            position=position,
            index=index,
        )
        return task.id

    last = store(0, 2.0, 1)
    third, fifth = store(0, 1.0, 1, 1), store(0, 1.0, 2)
    second, fourth = store(0, 1.0, 1), store(0, 1.0, 1, 2)
    first = store(9, 3.0, 5)

    assert [task.id for task in send_next(database)] == [first, second, third, fourth, fifth, last]


def test_task_has_the_age_of_its_job(database: FlakyDatabase) -> None:
    job, task = store_job(database)

    assert task_now(database, task.id).job_created_at == job.created_at


@pytest.mark.parametrize("state", [state for state in TaskState if state is not TaskState.SCHEDULED])
def test_only_scheduled_tasks_are_sent(database: FlakyDatabase, state: TaskState) -> None:
    store_task(database, state=state, due_at=1.0)

    assert send_next(database) == []


def test_windows_of_queues_are_separate(database: FlakyDatabase) -> None:
    store_tasks(database, SMALLEST_WINDOW + 1)
    gpu = store_task(database, GPU)

    sent = send_next(database, "gpu", "default", "none")

    assert [task.id for task in sent if task.queue == "gpu"] == [gpu.id]
    assert len(sent) == SMALLEST_WINDOW + 1


def test_known_task_is_not_read(database: FlakyDatabase) -> None:
    task = store_task(database)
    damage(database, task)

    [sent] = send_next(database, known=[task])

    assert (sent.id, sent.definition) == (task.id, task.definition)


def test_task_that_cannot_be_decrypted_holds_up_no_other(database: FlakyDatabase) -> None:
    damaged, task = store_tasks(database, 2)
    damage(database, damaged)

    assert [sent.id for sent in send_next(database)] == [task.id]


def damage(database: FlakyDatabase, task: Task) -> None:
    with database.transaction() as tx:
        statement = text("UPDATE tasks SET definition = '\"enc:00000000:token\"' WHERE id = :id")
        tx.execute(statement, {"id": task.id})


def test_queues_with_room_are_those_with_tasks_that_are_not_sent(database: FlakyDatabase) -> None:
    for queue, number in {"full": SMALLEST_WINDOW, "half": 2, "sent": 1}.items():
        for _ in range(number):
            store_task(database, task_definition(queue=queue), sent_at=5.0)
    for queue in ("full", "half", "unsent", "unsent"):
        store_task(database, task_definition(queue=queue))

    assert queues_with_room(database) == ["half", "unsent"]


def test_no_queue_has_room_without_tasks(database: FlakyDatabase) -> None:
    assert queues_with_room(database) == []


def test_waiting_tasks_of_a_queue_are_marked_as_not_sent(database: FlakyDatabase) -> None:
    waiting = store_task(database, GPU, sent_at=5.0)
    running = store_task(database, GPU, sent_at=5.0, state=TaskState.RUNNING)
    other = store_task(database, sent_at=5.0)

    with database.transaction() as tx:
        publishing_window.clear_sent(tx, "gpu")

    assert task_now(database, waiting.id).sent_at is None
    assert [task_now(database, task.id).sent_at for task in (running, other)] == [5.0, 5.0]


def test_priority_of_a_template_is_stored_once_it_is_known(database: FlakyDatabase) -> None:
    task = store_task(database, task_definition(priority="{{ inputs.p }}"), state=TaskState.CREATED)
    store_task(database, task_definition(priority=4))
    started = change(database, task, definition=task_definition(priority=5), state=TaskState.CREATED)
    scheduled = started.with_state(TaskState.SCHEDULED)
    with database.transaction() as tx:
        tasks.save(tx, [scheduled], redefined=[task.id])

    assert send_next(database)[0].id == task.id


def test_change_of_a_job_keeps_the_place_of_its_tasks(database: FlakyDatabase) -> None:
    job, task = store_job(database)
    change_job(database, job, started_at=5.0)
    older = store_task(database, job_created_at=0.0)

    assert [sent.id for sent in send_next(database)] == [older.id, task.id]
