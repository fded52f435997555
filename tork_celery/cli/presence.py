"""A coordinator among the nodes: the API's process says every now and then that it is alive."""

from tork_celery.domain.node import Node
from tork_celery.periodic_thread import PeriodicThread
from tork_celery.store import Database, nodes
from tork_celery.worker.heartbeat import cpu_percent, say_stopped


class Presence:
    """A node that runs no tasks. A datastore that is away is no reason to stop."""

    def __init__(self, database: Database, node: Node, *, interval_s: float) -> None:
        self._database = database
        self._node = node
        self._repeater = PeriodicThread(
            self._beat,
            name="presence",
            interval_s=interval_s,
            missed="heartbeat.missed",
            broken="heartbeat.failed",
        )

    def start(self) -> None:
        self._repeater.start()

    def stop(self) -> None:
        """The node stops as planned."""
        self._repeater.stop()
        say_stopped(self._database, self._node)

    def _beat(self) -> None:
        name, instance = self._node.name, self._node.instance
        with self._database.transaction() as tx:
            if not nodes.record_heartbeat(tx, name=name, instance=instance, cpu_percent=cpu_percent()):
                nodes.register(tx, self._node)
