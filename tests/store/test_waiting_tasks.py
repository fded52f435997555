"""Tasks without rows that wait for their needs, or for a plan that starts them."""

from tests.store.stores import store_job
from tork_celery.domain.plan import ListedTask, UnmetNeeds, WaitingTask
from tork_celery.store import Database, recovery_queries, waiting_tasks


def waiting(place: ListedTask, unmet: int, *, is_new: bool = True) -> WaitingTask:
    return WaitingTask(place=place, needs=UnmetNeeds(unmet, "b"), is_new=is_new)


def test_numbers_of_unmet_needs_are_stored_for_each_list(database: Database) -> None:
    job, task = store_job(database)
    top, child = ListedTask(None, 3), ListedTask(task.id, 3)
    with database.transaction() as tx:
        waiting_tasks.save(tx, job.id, [waiting(top, 2), waiting(child, 5)])
        waiting_tasks.save(tx, job.id, [waiting(top, 1, is_new=False)])

        assert waiting_tasks.unmet_needs(tx, job.id, None, [2, 3]) == {3: UnmetNeeds(1, "b")}
        assert waiting_tasks.unmet_needs(tx, job.id, task.id, [3]) == {3: UnmetNeeds(5, "b")}
        waiting_tasks.remove(tx, job.id, [top])
        assert waiting_tasks.unmet_needs(tx, job.id, None, [3]) == {}


def test_ready_tasks_are_read_in_order_and_found_by_the_sweep(database: Database) -> None:
    job, task = store_job(database)
    with database.transaction() as tx:
        tasks = [waiting(ListedTask(None, index), int(index == 1)) for index in (4, 1, 2)]
        waiting_tasks.save(tx, job.id, [*tasks, waiting(ListedTask(task.id, 0), 0)])

        assert waiting_tasks.ready(tx, job.id, None, limit=1) == {2: UnmetNeeds(0, "b")}
        assert list(waiting_tasks.ready(tx, job.id, None, limit=9)) == [2, 4]
        found = recovery_queries.with_ready_tasks(tx, limit=9)
        assert found == [job.id], "the composite does not run"
        waiting_tasks.remove_all(tx, job.id)
        assert recovery_queries.with_ready_tasks(tx, limit=9) == []
