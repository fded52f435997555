"""The sweep finds tasks whose job was not advanced, and tasks whose message may be lost."""

from typing import Any

import pytest

from tests.domain.samples import task_definition
from tests.store.stores import seconds_now, store_task, task_now
from tork_celery.domain.states import Outcome, TaskState
from tork_celery.store import Database, recovery_queries, tasks

NODE = "default@here"
LONG_AGO = 1.0
ENDED: dict[str, Any] = {"state": TaskState.RUNNING, "outcome": Outcome.FAILED, "ended_at": LONG_AGO}
BETWEEN: dict[str, Any] = {"state": TaskState.RUNNING, "node": NODE, "sent_at": LONG_AGO}


def waiting_longest(
    database: Database,
    *,
    queue: str = "default",
    node: str | None = None,
    after_s: float = 5.0,
    limit: int = 9,
) -> list[str]:
    with database.transaction() as tx:
        waiting = recovery_queries.waiting_longest(tx, queue=queue, node=node, after_s=after_s, limit=limit)
    return [task.id for task in waiting]


def test_unadvanced_tasks_ended_before_the_delay(database: Database) -> None:
    task = store_task(database, **ENDED, delivery=4)
    store_task(database, **ENDED | {"ended_at": seconds_now(database)})
    store_task(database, **ENDED | {"state": TaskState.FAILED})
    store_task(database, state=TaskState.RUNNING, node="n")

    with database.reading() as tx:
        assert recovery_queries.unadvanced(tx, after_s=60, limit=10) == [(task.id, 4)]
        assert len(recovery_queries.unadvanced(tx, after_s=-60, limit=10)) == 2
        assert len(recovery_queries.unadvanced(tx, after_s=-60, limit=1)) == 1


def test_sent_tasks_are_counted_by_queue_and_node(database: Database) -> None:
    store_task(database, sent_at=1.0)
    store_task(database, sent_at=2.0)
    store_task(database, task_definition(queue="gpu"), sent_at=1.0)
    store_task(database)
    store_task(database, task_definition(queue="unsent"))
    store_task(database, **BETWEEN)
    store_task(database, **BETWEEN, step_running=True)
    store_task(database, **ENDED)

    with database.reading() as tx:
        assert recovery_queries.waiting_queues(tx) == {
            ("default", None): 2,
            ("gpu", None): 1,
            ("default", NODE): 1,
        }


def test_longest_waiting_tasks_come_first(database: Database) -> None:
    second = store_task(database, sent_at=2.0)
    third = store_task(database, sent_at=3.0)
    first = store_task(database, sent_at=1.0)
    store_task(database, sent_at=seconds_now(database))
    store_task(database, task_definition(queue="gpu"), sent_at=LONG_AGO)
    store_task(database, **BETWEEN)

    assert waiting_longest(database) == [first.id, second.id, third.id]
    assert waiting_longest(database, limit=2) == [first.id, second.id]


def test_task_between_steps_waits_for_its_node(database: Database) -> None:
    task = store_task(database, **BETWEEN)
    store_task(database, **BETWEEN | {"node": "another"})
    store_task(database, sent_at=LONG_AGO)

    assert waiting_longest(database, node=NODE) == [task.id]


def test_republished_task_has_not_waited_long(database: Database) -> None:
    task = store_task(database, sent_at=LONG_AGO)

    with database.transaction() as tx:
        tasks.mark_sent(tx, [task.id])

    assert waiting_longest(database) == []
    assert task_now(database, task.id).sent_at == pytest.approx(seconds_now(database), abs=5)


def test_tasks_are_counted_by_queue(database: Database) -> None:
    store_task(database)
    store_task(database, state=TaskState.RUNNING, node="n")
    store_task(database, state=TaskState.COMPLETED)
    store_task(database, task_definition(queue="gpu"), state=TaskState.RUNNING, node="n")

    with database.reading() as tx:
        assert tasks.count_by_queue(tx) == {"default": (1, 1), "gpu": (0, 1)}
