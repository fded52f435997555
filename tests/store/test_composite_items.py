"""Items of an `each` are stored in batches until their children are added; jobs count what they dispatch."""

import pytest

from tests.store.stores import store_job
from tork_celery.domain.dispatched import MIN_STORED_CHARS, NOTHING, Dispatched
from tork_celery.domain.plan import ItemBatch
from tork_celery.store import Database, composite_items, jobs


def test_batches_are_taken_one_by_one(database: Database) -> None:
    job, task = store_job(database)
    _, other = store_job(database)
    first = ItemBatch(task_id=task.id, first=0, items=[1, "a", {"b": [None, True, 2.5]}])
    second = ItemBatch(task_id=task.id, first=3, items=["d"])
    with database.transaction() as tx:
        composite_items.add(tx, job.id, [first, second])
        composite_items.add(tx, job.id, [])
        composite_items.remove(tx, job.id, [])

    with database.transaction() as tx:
        assert composite_items.get(tx, task, 0) == first
        composite_items.remove(tx, job.id, [first])
        assert composite_items.get(tx, task, 3) == second
        for missing in (task, other):
            with pytest.raises(LookupError, match=f"task {missing.id} has no items from 0 on"):
                composite_items.get(tx, missing, 0)


def test_items_are_removed_with_their_job(database: Database) -> None:
    job, task = store_job(database)
    with database.transaction() as tx:
        composite_items.add(tx, job.id, [ItemBatch(task_id=task.id, first=0, items=[1])])
        jobs.remove(tx, job.id)
        with pytest.raises(LookupError):
            composite_items.get(tx, task, 0)


def dispatched(database: Database, job_id: str) -> Dispatched:
    with database.reading() as tx:
        return jobs.dispatched(tx, job_id)


def test_dispatched_tasks_text_and_queues_add_up(database: Database) -> None:
    job, _ = store_job(database)
    other, _ = store_job(database)

    for queues in ({"a", "b"}, {"b", "c"}):
        with database.transaction() as tx:
            added = Dispatched(tasks=3, chars=10**9, queues=frozenset(queues))
            jobs.add_dispatched(tx, job.id, added)

    assert dispatched(database, job.id) == Dispatched(tasks=6, chars=2 * 10**9, queues=frozenset("abc"))
    assert dispatched(database, other.id) == NOTHING


def test_restarted_job_counts_anew(database: Database) -> None:
    job, _ = store_job(database)
    for added in (Dispatched(tasks=9, queues=frozenset("a")), NOTHING):
        with database.transaction() as tx:
            jobs.add_dispatched(tx, job.id, added, restarted=True)
        assert dispatched(database, job.id) == added


def test_little_text_alone_is_not_stored(database: Database) -> None:
    job, _ = store_job(database)
    with database.transaction() as tx:
        jobs.add_dispatched(tx, job.id, Dispatched(chars=MIN_STORED_CHARS - 1))
        jobs.add_dispatched(tx, "deleted", Dispatched(tasks=1))

    assert dispatched(database, job.id) == dispatched(database, "deleted") == NOTHING
