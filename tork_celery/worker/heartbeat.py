"""Shows that this process is alive, keeps its leases, and ends what is not its own any more."""

import os
from collections.abc import Callable
from typing import Protocol

import structlog

from tork_celery import webhook_outbox
from tork_celery.domain import queue_names
from tork_celery.domain.errors import BrokerUnavailable, DatastoreUnavailable
from tork_celery.domain.model import StepRef
from tork_celery.domain.node import Node
from tork_celery.periodic_thread import PeriodicThread
from tork_celery.runtime.protocol import Runtime
from tork_celery.store import Database, leases, nodes, tasks
from tork_celery.worker.active_steps import StopReason
from tork_celery.worker.recovery import publish, remove_leftovers
from tork_celery.worker.worker import Worker

log = structlog.get_logger(__name__)

_BEATS_TO_TIDY = 15


class DatastoreWatcher(Protocol):
    """Is told at each beat whether the datastore answers, and when it did by its own clock."""

    def datastore_answered(self, now: float) -> None: ...
    def datastore_was_away(self) -> None: ...


class Heartbeat:
    """One thread of a process. Every `interval_s` it calls `nodes.record_heartbeat` and, in one statement for all that
    the worker runs, renews the leases. It never waits for the engine: another thread tidies up."""

    def __init__(
        self,
        database: Database,
        node: Node,
        worker: Worker | None,
        *,
        interval_s: float,
        watcher: DatastoreWatcher,
        replaced: Callable[[], None],
    ) -> None:
        """`replaced` is called, and the heart stops, when another process has taken the node's name."""
        self._watcher = watcher
        self._replaced = replaced
        self._database = database
        self._node = node
        self._worker = worker
        self._repeater = PeriodicThread(
            self._turn,
            name="heartbeat",
            interval_s=interval_s,
            missed="heartbeat.missed",
            broken="heartbeat.failed",
        )
        self._tidying = worker and PeriodicThread(
            lambda: remove_leftovers(worker),
            name="tidy",
            interval_s=interval_s * _BEATS_TO_TIDY,
            missed="tidy.missed",
            broken="tidy.failed",
        )

    def start(self) -> None:
        self._repeater.start()
        if self._tidying:
            self._tidying.start()

    def stop(self) -> None:
        """The node stops as planned."""
        self._repeater.stop()
        say_stopped(self._database, self._node)
        if self._tidying:
            self._tidying.stop()

    def beat(self) -> float | None:
        """Once. The datastore's time; None when another process has taken the node's name, and with it what
        runs here. Raises DatastoreUnavailable."""
        name, instance = self._node.name, self._node.instance
        with self._database.transaction() as tx:
            ours = nodes.record_heartbeat(tx, name=name, instance=instance, cpu_percent=cpu_percent())
            now = self._database.now(tx)
        if ours and self._worker is not None:
            renew(self._worker)
        return now if ours else None

    def _turn(self) -> None:
        try:
            now = self.beat()
        except DatastoreUnavailable:
            self._watcher.datastore_was_away()
            raise
        if now is None:
            self._give_way()
            return
        self._watcher.datastore_answered(now)

    def _give_way(self) -> None:
        """What runs here is the other process's to follow."""
        log.error("node.replaced", node=self._node.name)
        self._repeater.end()
        if self._tidying:
            self._tidying.end()
        if self._worker is not None:
            self._worker.detach()
        self._replaced()


def renew(worker: Worker) -> None:
    """Renew the leases of the tasks that a worker has; stop the steps whose task is not its own any more."""
    active = worker.steps.all()
    waiting = worker.adoptable.all()
    running = [step.ref.task_id for step in active] + [task.id for task in waiting]
    progress = _progress(worker.runtime, [step.ref for step in active])
    with worker.database.transaction() as tx:
        webhook_outbox.record_progress(tx, progress, node=worker.node)
        kept = leases.renew(tx, node=worker.node, running=running, lease_s=worker.lease_s, progress=progress)
        lost = [step for step in active if kept.get(step.ref.task_id) != step.ref.delivery]
        cancelled = tasks.ended_early(tx, [step.ref.task_id for step in lost])
    for step in lost:
        worker.steps.kill(
            step, StopReason.CANCELLED if step.ref.task_id in cancelled else StopReason.SUPERSEDED
        )
    for task in waiting:
        if kept.get(task.id) != task.delivery:
            worker.adoptable.drop(task.ref)
            worker.runtime.remove_delivery(task.id, task.delivery)
    _publish_missing(worker)


def _publish_missing(worker: Worker) -> None:
    """Steps to adopt for which there is no message: the broker was away, or has lost them. Those for which
    there is one wait for a slot, which may take hours."""
    waiting = worker.adoptable.all()
    try:
        if waiting and worker.dispatcher.depth(queue_names.of_node(worker.node)) < len(waiting):
            publish(worker, waiting)
    except BrokerUnavailable as error:
        log.warning("tasks.not_taken_up", reason=str(error))


def _progress(runtime: Runtime, refs: list[StepRef]) -> dict[str, float]:
    return {ref.task_id: shown for ref in refs if (shown := runtime.progress(ref)) is not None}


def say_stopped(database: Database, node: Node) -> None:
    """The node stops as planned; where that cannot be stored it is taken for lost after a while."""
    try:
        with database.transaction() as tx:
            nodes.record_stop(tx, name=node.name, instance=node.instance)
    except DatastoreUnavailable as error:
        log.warning("node.stop_not_stored", reason=str(error))


def cpu_percent() -> float:
    """How busy this machine is: its load a core over the last minute, in percent, 100 at the most."""
    load, _, _ = os.getloadavg()
    return round(min(100.0, 100.0 * load / (os.cpu_count() or 1)), 1)
