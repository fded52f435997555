"""A coordinator among the nodes: the API's process says every now and then that it is alive."""

import threading

import structlog

from tork_celery.domain.errors import DatastoreUnavailable
from tork_celery.domain.node import Node
from tork_celery.store import Database, nodes
from tork_celery.worker.heartbeat import cpu_percent

log = structlog.get_logger(__name__)


class Presence:
    """One thread of a process that runs no tasks. A datastore that is away is no reason to stop."""

    def __init__(self, database: Database, node: Node, *, interval_s: float) -> None:
        self._database = database
        self._node = node
        self._interval_s = interval_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """The node stops as planned."""
        self._stopped.set()
        self._thread.join()
        try:
            with self._database.transaction() as tx:
                nodes.stop(tx, name=self._node.name, instance=self._node.instance)
        except DatastoreUnavailable as error:
            log.warning("node.stop_not_stored", reason=str(error))

    def _run(self) -> None:
        while True:
            try:
                self._beat()
            except DatastoreUnavailable as error:
                log.warning("heartbeat.missed", reason=str(error))
            if self._stopped.wait(self._interval_s):
                return

    def _beat(self) -> None:
        name, instance = self._node.name, self._node.instance
        with self._database.transaction() as tx:
            if not nodes.beat(tx, name=name, instance=instance, cpu_percent=cpu_percent()):
                nodes.register(tx, self._node)
