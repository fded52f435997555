"""Leases: a node owns its tasks as long as it renews their leases."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection, case, or_, select, update

from tork_celery.domain.model import Task
from tork_celery.domain.step_report import StepReport
from tork_celery.store import step_reports
from tork_celery.store.database import datastore_now
from tork_celery.store.tables import RUNNING_TASKS, tasks
from tork_celery.store.task_conditions import claimed
from tork_celery.store.tasks import task_of


def renew(
    tx: Connection,
    *,
    node: str,
    running: Sequence[str],
    lease_s: float,
    progress: Mapping[str, float],
    reports: Mapping[str, StepReport],
) -> dict[str, int]:
    """Renew the leases of the node's tasks: those in `running` and those between two steps.

    Stores the `progress` of tasks and the `reports` of their steps, by id. Returns the deliveries of the
    renewed tasks, by id. A task in `running` that is missing from the result, or has another delivery, no
    longer belongs to the node.
    """
    query = (
        update(tasks)
        .where(
            RUNNING_TASKS,
            tasks.c.node == node,
            tasks.c.outcome.is_(None),
            or_(tasks.c.step_running.is_(False), tasks.c.id.in_(running)),
        )
        .values(lease_until=datastore_now() + lease_s, **step_reports.values(reports))
        .returning(tasks.c.id, tasks.c.delivery)
    )
    if progress:
        query = query.values(progress=case(progress, value=tasks.c.id, else_=tasks.c.progress))
    return {row.id: row.delivery for row in tx.execute(query)}


def extend(tx: Connection, *, node: str, lease_s: float) -> None:
    """Set the leases of all claimed tasks of the node to end `lease_s` seconds from now.

    A node extends them before a planned stop, until it is back, and when it is back.
    """
    lease = datastore_now() + lease_s
    tx.execute(update(tasks).where(*claimed(), tasks.c.node == node).values(lease_until=lease))


def of_node(tx: Connection, node: str) -> list[Task]:
    """Return the tasks that the node has claimed and whose steps have not ended."""
    query = select(tasks).where(*claimed(), tasks.c.node == node)
    return [task_of(row) for row in tx.execute(query)]


def held_by(tx: Connection, names: Collection[str]) -> set[tuple[str, str, int]]:
    """Return (node, task id, delivery) of the claimed tasks of several nodes."""
    query = select(tasks.c.node, tasks.c.id, tasks.c.delivery).where(*claimed(), tasks.c.node.in_(names))
    return {(node, task_id, delivery) for node, task_id, delivery in tx.execute(query)}
