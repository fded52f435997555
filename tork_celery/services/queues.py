"""Queues: how many tasks they hold, how many nodes serve them, and purging them."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from tork_celery.domain import queue_names
from tork_celery.domain.audit import Action, Actor
from tork_celery.domain.errors import Fault, InvalidInput, NotFound
from tork_celery.domain.queue_names import DEFAULT_QUEUE, LONGEST_NAME
from tork_celery.services.context import ServiceContext
from tork_celery.store import audit, nodes, publishing_window, task_queues, tasks

log = structlog.get_logger(__name__)

_UNUSED_S = 3600.0
_CHECKED_QUEUES = 50
_MAX_STALE_MESSAGES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """A queue as counted in the datastore. `live_nodes` are the nodes that serve it."""

    name: str
    queued_tasks: int
    running_tasks: int
    live_nodes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingTasks:
    """Tasks with a message: scheduled tasks of a queue or, with a `node`, tasks that it has started."""

    queue: str
    node: str | None
    number: int

    @property
    def broker_queue(self) -> str:
        return queue_names.of_node(self.node) if self.node else self.queue


def missing_messages(
    context: ServiceContext, waiting: Sequence[WaitingTasks]
) -> list[tuple[WaitingTasks, int]]:
    """Return the tasks for which the broker holds too few messages, with the number that is missing.

    A queue with far more messages than sent tasks is purged: an earlier version has sent its whole backlog,
    or many of its tasks were cancelled. Raises DatastoreUnavailable, BrokerUnavailable.
    """
    if not waiting:
        return []
    messages = context.dispatcher.count_messages([each.broker_queue for each in waiting])
    for each in waiting:
        if not each.node and messages[each.queue] > each.number + _MAX_STALE_MESSAGES:
            log.info("queue.purged", queue=each.queue, messages=messages[each.queue], sent=each.number)
            context.dispatcher.purge(each.queue)
            with context.database.transaction() as tx:
                publishing_window.clear_sent(tx, each.queue)
    missing = [(each, each.number - messages[each.broker_queue]) for each in waiting]
    return [(each, number) for each, number in missing if number > 0]


def delete_unused(context: ServiceContext) -> None:
    """Delete queues in the broker that no task and no live node has used for an hour, some at a time.

    A queue that is used again is declared again. Raises DatastoreUnavailable, BrokerUnavailable.
    """
    with context.database.reading() as tx:
        names = task_queues.unchecked(tx, for_s=_UNUSED_S, limit=_CHECKED_QUEUES)
        used = {*task_queues.with_tasks(tx, names), *_served_queues(context, tx)} if names else set()
    unused = [name for name in names if name not in used]
    if unused:
        context.dispatcher.delete_unused(unused)
        log.info("queues.deleted", number=len(unused))
    if names:
        with context.database.transaction() as tx:
            task_queues.remove_unused(tx, unused)
            task_queues.mark_checked(tx, names)


def list_queues(context: ServiceContext) -> list[QueueView]:
    """Return the queues that have tasks or live nodes, and the default queue, by name."""
    with context.database.reading() as tx:
        counts = tasks.count_by_queue(tx)
        served = _served_queues(context, tx)
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
    """Remove the messages of a queue. Its tasks stay queued, as not sent: the sweep sends the next ones.

    Raises NotFound, BrokerUnavailable, and InvalidInput for a queue that the system uses for itself.
    """
    get(context, name)
    try:
        queue_names.check(name)
    except ValueError as error:
        raise InvalidInput(Fault(path="name", message=str(error))) from None
    context.dispatcher.purge(name)
    with context.database.transaction() as tx:
        publishing_window.clear_sent(tx, name)
        audit.record(tx, actor, Action.PURGE_QUEUE, name)


def _served_queues(context: ServiceContext, tx: Connection) -> list[str]:
    """Return the queues of all live nodes, each as often as there are nodes that serve it."""
    live = nodes.active(tx, within_s=context.lease_s)
    return [queue for node in live if node.stopped_at is None for queue in node.queues]
