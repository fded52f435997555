"""Queues: how many tasks they hold, how many nodes serve them, and purging them."""

from dataclasses import dataclass

from tork_celery.domain import queue_names
from tork_celery.domain.audit import Action, Actor
from tork_celery.domain.errors import Fault, InvalidInput, NotFound
from tork_celery.domain.queue_names import DEFAULT_QUEUE, LONGEST_NAME
from tork_celery.services.context import ServiceContext
from tork_celery.store import audit, nodes, tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """A queue as counted in the datastore. `live_nodes` are the nodes that serve it."""

    name: str
    queued_tasks: int
    running_tasks: int
    live_nodes: int


def list_queues(context: ServiceContext) -> list[QueueView]:
    """Return the queues that have tasks or live nodes, and the default queue, by name."""
    with context.database.reading() as tx:
        counts = tasks.count_by_queue(tx)
        live = nodes.active(tx, within_s=context.lease_s)
    served = [queue for node in live if node.stopped_at is None for queue in node.queues]
    views = []
    for name in sorted({DEFAULT_QUEUE, *counts, *served}):
        queued, running = counts.get(name, (0, 0))
        live_nodes = served.count(name)
        views.append(QueueView(name=name, queued_tasks=queued, running_tasks=running, live_nodes=live_nodes))
    return views


def get(context: ServiceContext, name: str) -> QueueView:
    """Return a queue that has tasks or live nodes. Raises NotFound."""
    for view in list_queues(context):
        if view.name == name:
            return view
    raise NotFound(f"no queue named {name[:LONGEST_NAME]!r}")


def purge(context: ServiceContext, name: str, *, actor: Actor | None = None) -> None:
    """Remove the messages of a queue. Its tasks stay queued: the sweep sends them again.

    Raises NotFound, BrokerUnavailable, and InvalidInput for a queue that the system uses for itself.
    """
    get(context, name)
    try:
        queue_names.check(name)
    except ValueError as error:
        raise InvalidInput(Fault(path="name", message=str(error))) from None
    context.dispatcher.purge(name)
    with context.database.transaction() as tx:
        audit.record(tx, actor, Action.PURGE_QUEUE, name)
