"""Recovery of a node after a restart, and removal of what ended deliveries left on its host.

The datastore says which tasks the node holds. Their steps are published to the node's own queue, so that each
occupies a slot of the worker like any other step. The thread that receives one follows its container, or
starts a missing one.
"""

import threading
from contextlib import suppress

import structlog
from sqlalchemy import Connection

from tork_celery import webhook_outbox
from tork_celery.domain import queue_names, transitions
from tork_celery.domain.errors import BrokerUnavailable
from tork_celery.domain.model import StepRef, Task
from tork_celery.store import leases, nodes, publishing_window, tasks
from tork_celery.worker.context import WorkerContext

log = structlog.get_logger(__name__)


class AdoptableSteps:
    """Running steps that an earlier process of this node claimed. Each is adopted once. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tasks: dict[StepRef, Task] = {}

    def add(self, task: Task) -> None:
        with self._lock:
            self._tasks[task.ref] = task

    def remove(self, ref: StepRef) -> bool:
        """Remove a step. Return whether it was there."""
        with self._lock:
            return self._tasks.pop(ref, None) is not None

    def all(self) -> list[Task]:
        with self._lock:
            return list(self._tasks.values())


class Recovery:
    """Recovers the tasks of a node."""

    def __init__(self, context: WorkerContext, adoptable: AdoptableSteps) -> None:
        self._context = context
        self._adoptable = adoptable

    def recover(self) -> None:
        """Publish the tasks that the node holds to its own queue; remove the leftovers of all others.

        Where steps die with their process, release the tasks instead.

        Raises DatastoreUnavailable, EngineUnavailable.
        """
        with self._context.database.transaction() as tx:
            leases.extend(tx, node=self._context.node, lease_s=self._context.lease_s)
            held = leases.of_node(tx, self._context.node)
            sent = [] if self._context.runtime.adopts else self._release(tx, held)
        self._context.publisher.send(sent)
        if not self._context.runtime.adopts:
            held = []
        for task in held:
            if task.step_running:
                self._adoptable.add(task)
        self._publish(held)
        self.remove_leftovers()

    def publish_missing(self) -> None:
        """Publish the steps to adopt again if the node's queue holds fewer messages than steps.

        The broker was away or lost the messages. Steps that have a message wait for a slot.
        """
        adoptable = self._adoptable.all()
        with suppress(BrokerUnavailable):  # the next heartbeat tries again
            if adoptable and self._context.dispatcher.depth(queue_names.of_node(self._context.node)) < len(
                adoptable
            ):
                self._publish(adoptable)

    def remove_leftovers(self) -> None:
        """Remove what ended or superseded deliveries and dead nodes left on this host, and unused images.

        Another node that is alive removes its own. Raises DatastoreUnavailable, EngineUnavailable.
        """
        self._context.runtime.collect_garbage(alive=self._alive)
        leftovers = list(self._context.runtime.leftovers())
        if not leftovers:
            return
        alive = self._alive()
        with self._context.database.reading() as tx:
            held = leases.held_by(tx, {left.node for left in leftovers})
        # The container of a cancelled step has a grace period; its task is no longer held.
        active = {
            (self._context.node, step.ref.task_id, step.ref.delivery) for step in self._context.steps.all()
        }
        for left in leftovers:
            if left.node not in alive and left not in held | active:
                log.info("delivery.removed", **left._asdict())
                self._context.runtime.remove_delivery(left.task_id, left.delivery)

    def _alive(self) -> set[str]:
        """Return the other nodes that are alive."""
        with self._context.database.reading() as tx:
            active = nodes.active(tx, within_s=self._context.lease_s)
        return {node.name for node in active} - {self._context.node}

    def _publish(self, held: list[Task]) -> None:
        with suppress(BrokerUnavailable):  # `publish_missing` tries again
            self._context.dispatcher.send_all(held)

    def _release(self, tx: Connection, held: list[Task]) -> list[Task]:
        """Release tasks. Return those to send then, which are others if those have a higher priority."""
        now = self._context.database.now(tx)
        released = [transitions.release(task, now=now, reason=f"{task.node} started again") for task in held]
        webhook_outbox.record_tasks(tx, released)
        tasks.save(tx, released)
        queues = {task.queue for task in released}
        return publishing_window.mark_next_sent(tx, queues, lease_s=self._context.lease_s)
