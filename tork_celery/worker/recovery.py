"""How a node begins: it takes its name, and what an earlier process of that name left."""

import os
import socket

import structlog
from sqlalchemy import Connection

from tork_celery import webhook_outbox
from tork_celery.domain import transitions
from tork_celery.domain.errors import BrokerUnavailable, ConfigurationError
from tork_celery.domain.model import Task
from tork_celery.domain.node import Node, NodeStatus
from tork_celery.store import Database, leases, nodes, tasks
from tork_celery.worker.worker import Worker

log = structlog.get_logger(__name__)


def register(database: Database, node: Node, *, lease_s: float) -> None:
    """Take the node's name. Raises ConfigurationError when a process that is alive has it."""
    with database.transaction() as tx:
        earlier = nodes.claim_name(tx, node.name)
        alive = earlier and earlier.status(now=database.now(tx), lease_s=lease_s) is NodeStatus.UP
        if earlier and alive and not _died_here(earlier):
            raise ConfigurationError(
                f"a node of the name {node.name!r} is alive on {earlier.hostname} (process {earlier.pid}); "
                "give this worker another name with -n NAME@%h"
            )
        nodes.register(tx, node)


def recover(worker: Worker) -> None:
    """Publish again what this node had begun, to its own queue; remove what it left of anything else.

    Raises DatastoreUnavailable, EngineUnavailable.
    """
    with worker.database.transaction() as tx:
        leases.extend(tx, node=worker.node, lease_s=worker.lease_s)
        begun = leases.of_node(tx, worker.node)
        if not worker.runtime.adopts:
            begun = _release_task(tx, worker, begun)
    for task in begun:
        if task.step_running:
            worker.adoptable.add(task)
    publish(worker, begun)
    remove_leftovers(worker)


def remove_leftovers(worker: Worker) -> None:
    """Remove what this node, or one that is not there any more, has on this host of deliveries that ended or
    were superseded, and what the runtime has kept for long enough."""
    worker.runtime.collect_garbage()
    left = list(worker.runtime.leftovers())
    if not left:
        return
    with worker.database.reading() as tx:
        alive = {node.name for node in nodes.active(tx, within_s=worker.lease_s)}
        held = leases.held_by(tx, {leftovers.node for leftovers in left})
    ending = {(worker.node, step.ref.task_id, step.ref.delivery) for step in worker.steps.all()}
    for leftovers in left:
        others = leftovers.node != worker.node and leftovers.node in alive
        if not others and leftovers not in held | ending:
            log.info("delivery.removed", **leftovers._asdict())
            worker.runtime.remove_delivery(leftovers.task_id, leftovers.delivery)


def publish(worker: Worker, begun: list[Task]) -> None:
    try:
        for task in begun:
            worker.dispatcher.send(task)
    except BrokerUnavailable as error:
        log.warning("tasks.not_taken_up", reason=str(error))  # the heartbeat tries again


def _release_task(tx: Connection, worker: Worker, begun: list[Task]) -> list[Task]:
    """Steps that died with their process: their tasks start again, on any node."""
    now = worker.database.now(tx)
    free = [transitions.release(task, now=now) for task in begun]
    webhook_outbox.record_tasks(tx, free)
    tasks.save(tx, free)
    return free


def _died_here(node: Node) -> bool:
    """Whether the node was a process of this host that is gone."""
    if node.hostname != socket.gethostname():
        return False
    try:
        os.kill(node.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return node.pid == os.getpid()
