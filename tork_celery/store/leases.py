"""What a node has is its own for as long as it renews the leases of it."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection, case, or_, select, update

from tork_celery.domain.model import Task
from tork_celery.store.database import datastore_now
from tork_celery.store.tables import RUNNING_TASKS, tasks
from tork_celery.store.tasks import claimed, task_of


def renew(
    tx: Connection, *, node: str, running: Sequence[str], lease_s: float, progress: Mapping[str, float]
) -> dict[str, int]:
    """Renew the leases of this node's tasks: those whose step it is `running`, and those between two steps.

    Returns the delivery of each: what the node is running and does not find here is not its own any more.
    """
    query = (
        update(tasks)
        .where(
            RUNNING_TASKS,
            tasks.c.node == node,
            tasks.c.outcome.is_(None),
            or_(tasks.c.step_running.is_(False), tasks.c.id.in_(running)),
        )
        .values(lease_until=datastore_now() + lease_s)
        .returning(tasks.c.id, tasks.c.delivery)
    )
    if progress:
        shown = case(progress, value=tasks.c.id, else_=tasks.c.progress)
        query = query.values(progress=shown)
    return {row.id: row.delivery for row in tx.execute(query)}


def extend(tx: Connection, *, node: str, lease_s: float) -> None:
    """Keep what this node has for it: before a planned stop until it is back, and when it is back."""
    lease = datastore_now() + lease_s
    tx.execute(update(tasks).where(*claimed(), tasks.c.node == node).values(lease_until=lease))


def of_node(tx: Connection, node: str) -> list[Task]:
    """What a node has claimed and not ended."""
    query = select(tasks).where(*claimed(), tasks.c.node == node)
    return [task_of(row) for row in tx.execute(query)]


def held_by(tx: Connection, names: Collection[str]) -> set[tuple[str, str, int]]:
    """What these nodes have claimed and not ended, each as (node, task id, delivery)."""
    query = select(tasks.c.node, tasks.c.id, tasks.c.delivery).where(*claimed(), tasks.c.node.in_(names))
    return {(node, task_id, delivery) for node, task_id, delivery in tx.execute(query)}
