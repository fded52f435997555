"""Queues that may exist in the broker are known until nobody uses them."""

from sqlalchemy import select, update

from tests.domain.samples import task_definition
from tests.store.stores import store_task
from tork_celery.domain.states import TaskState
from tork_celery.store import Database, task_queues
from tork_celery.store.tables import task_queues as table


def names(database: Database) -> list[str]:
    with database.reading() as tx:
        return sorted(tx.scalars(select(table.c.name)))


def test_known_queue_is_added_once_and_keeps_its_time(database: Database) -> None:
    with database.transaction() as tx:
        task_queues.add(tx, ["a", "b"])
        tx.execute(update(table).values(checked_at=5.0))
        task_queues.add(tx, ["b", "c"])
        task_queues.add(tx, [])

    with database.reading() as tx:
        assert sorted(task_queues.unchecked(tx, for_s=60.0, limit=9)) == ["a", "b"]
    assert names(database) == ["a", "b", "c"]


def test_queues_that_wait_longest_are_checked_first(database: Database) -> None:
    with database.transaction() as tx:
        task_queues.add(tx, ["a", "b", "c"])
        for name, checked_at in (("a", 3.0), ("b", 1.0), ("c", 2.0)):
            tx.execute(update(table).where(table.c.name == name).values(checked_at=checked_at))

        assert task_queues.unchecked(tx, for_s=60.0, limit=2) == ["b", "c"]
        task_queues.mark_checked(tx, ["b", "c"])
        assert task_queues.unchecked(tx, for_s=60.0, limit=2) == ["a"]


def test_queue_of_an_active_task_is_not_removed(database: Database) -> None:
    store_task(database, task_definition(queue="active"))
    store_task(database, task_definition(queue="ended"), state=TaskState.CANCELLED)
    with database.transaction() as tx:
        task_queues.add(tx, ["active", "ended", "unused", "other"])
        task_queues.remove_unused(tx, ["active", "ended", "unused"])

    assert names(database) == ["active", "other"]
