"""Items of an `each` whose children have no rows yet.

There may be 100,000 items. They are stored in batches; a plan takes a batch and adds a child for each item.
"""

from collections.abc import Iterable

from sqlalchemy import Connection, delete, insert, select, tuple_

from tork_celery.domain.model import Task
from tork_celery.domain.plan import ItemBatch
from tork_celery.store.tables import composite_items as table


def add(tx: Connection, job_id: str, batches: Iterable[ItemBatch]) -> None:
    rows = [
        {"job_id": job_id, "task_id": batch.task_id, "first_index": batch.first, "items": list(batch.items)}
        for batch in batches
    ]
    if rows:
        tx.execute(insert(table), rows)


def get(tx: Connection, task: Task, first: int) -> ItemBatch:
    """Return the items of a task that begin with this index. Raises LookupError."""
    query = select(table.c["items"]).where(
        table.c.job_id == task.job_id, table.c.task_id == task.id, table.c.first_index == first
    )
    if (row := tx.execute(query).one_or_none()) is None:
        raise LookupError(f"task {task.id} has no items from {first} on")
    return ItemBatch(task_id=task.id, first=first, items=row[0])


def remove(tx: Connection, job_id: str, batches: Iterable[ItemBatch]) -> None:
    if taken := [(batch.task_id, batch.first) for batch in batches]:
        keys = tuple_(table.c.task_id, table.c.first_index)
        tx.execute(delete(table).where(table.c.job_id == job_id, keys.in_(taken)))


def remove_all(tx: Connection, job_id: str) -> None:
    tx.execute(delete(table).where(table.c.job_id == job_id))
