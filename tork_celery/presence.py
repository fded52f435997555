"""The presence of a node in the datastore: its name, and a heartbeat that shows that it is alive."""

import os
import socket
from collections.abc import Callable, Sequence

import structlog

from tork_celery.domain.errors import ConfigurationError, DatastoreUnavailable
from tork_celery.domain.node import Node, NodeStatus
from tork_celery.periodic_thread import PeriodicThread
from tork_celery.store import Database, nodes

log = structlog.get_logger(__name__)


class Presence:
    """One thread that records a heartbeat of a node every `interval_s`.

    Workers, coordinators and API processes are nodes. An outage of the datastore ends nothing.
    """

    def __init__(
        self,
        database: Database,
        node: Node,
        *,
        interval_s: float,
        on_beat: Callable[[float], None] = lambda _now: None,
        on_outage: Callable[[], None] = lambda: None,
        on_replaced: Callable[[], None] | None = None,
        queues: Callable[[], Sequence[str]] | None = None,
    ) -> None:
        """Callbacks run in the thread of the heartbeat.

        `queues` returns the queues from which the node takes tasks now; those of `node` if left out.
        `on_beat` is called after each heartbeat with the datastore's time; it may raise DatastoreUnavailable.
        `on_outage` is called when the datastore does not answer. `on_replaced` is called, and the heartbeat
        ends, when another process has taken the node's name; without it, the node is registered again.
        """
        self._database = database
        self._node = node
        self._on_beat = on_beat
        self._on_outage = on_outage
        self._on_replaced = on_replaced
        self._queues = queues or (lambda: node.queues)
        self.write_error: str | None = None
        """Why the last heartbeat could not be written; None if it was."""
        self._thread = PeriodicThread(
            self.beat,
            name="heartbeat",
            interval_s=interval_s,
            bug_event="heartbeat.failed",
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop the heartbeat and record that the node has stopped as planned."""
        self._thread.stop()
        try:
            with self._database.transaction() as tx:
                nodes.record_stop(tx, name=self._node.name, instance=self._node.instance)
        except DatastoreUnavailable as error:  # the node counts as DOWN after a lease
            log.warning("node.stop_not_stored", reason=str(error))

    def beat(self) -> None:
        """Record one heartbeat and call the callbacks. Raises DatastoreUnavailable."""
        try:
            now = self._record()
            self.write_error = None
            if now is not None:
                self._on_beat(now)
        except DatastoreUnavailable as error:
            self.write_error = str(error)
            self._on_outage()
            raise
        if now is None and self._on_replaced is not None:
            log.error("node.replaced", node=self._node.name)
            self._thread.request_stop()
            self._on_replaced()

    def _record(self) -> float | None:
        """Return the datastore's time, or None if another process has taken the node's name."""
        with self._database.transaction() as tx:
            registered = nodes.record_heartbeat(
                tx,
                name=self._node.name,
                instance=self._node.instance,
                queues=self._queues(),
                cpu_percent=cpu_percent(),
            )
            if not registered:
                if self._on_replaced is not None:
                    return None
                nodes.register(tx, self._node)
            return self._database.now(tx)


def claim_name(database: Database, node: Node, *, lease_s: float) -> None:
    """Register the node. Raises ConfigurationError if another live process has its name."""
    with database.transaction() as tx:
        _check_earlier(nodes.claim_name(tx, node.name), now=database.now(tx), lease_s=lease_s)
        nodes.register(tx, node)


def check_name(database: Database, node: Node, *, lease_s: float) -> None:
    """Raise ConfigurationError if another live process has the node's name. Does not register the node."""
    with database.transaction() as tx:
        _check_earlier(nodes.get(tx, node.name), now=database.now(tx), lease_s=lease_s)


def cpu_percent() -> float:
    """Return the load of this machine over the last minute, per core, in percent: 0 to 100."""
    load, _, _ = os.getloadavg()
    return round(min(100.0, 100.0 * load / (os.cpu_count() or 1)), 1)


def _check_earlier(earlier: Node | None, *, now: float, lease_s: float) -> None:
    if (
        earlier is not None
        and earlier.status(now=now, lease_s=lease_s) is NodeStatus.UP
        and not _died_here(earlier)
    ):
        raise ConfigurationError(
            f"a node of the name {earlier.name!r} is alive on {earlier.hostname} (process {earlier.pid}); "
            "give this worker another name with -n NAME@%h"
        )


def _died_here(node: Node) -> bool:
    """Return whether the node was a process of this host that no longer exists."""
    if node.hostname != socket.gethostname():
        return False
    try:
        os.kill(node.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return node.pid == os.getpid()  # a container that restarts gives its process the same id
