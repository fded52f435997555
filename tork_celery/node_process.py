"""A Celery worker process of tork_celery: a worker, a coordinator, or both."""

from collections.abc import Callable, Sequence

import structlog

from tork_celery.domain.errors import TorkError
from tork_celery.domain.node import Node
from tork_celery.domain.queue_names import CONTROL_QUEUE
from tork_celery.outages import until_available
from tork_celery.presence import Presence
from tork_celery.services.context import ServiceContext
from tork_celery.services.periodic import PeriodicWork
from tork_celery.services.recovery_sweep import RecoverySweep
from tork_celery.settings import ShutdownPolicy
from tork_celery.worker.worker import Worker

log = structlog.get_logger(__name__)

_PLANNED_STOP_LEASE_S = 60.0  # a node that stops has this long to come back before its tasks go to others


class NodeProcess:
    """The parts of a process and their order of start and stop.

    `worker` is None in a process that serves the control queue alone.
    """

    def __init__(
        self,
        context: ServiceContext,
        node: Node,
        *,
        worker: Worker | None,
        coordinates: bool,
        heartbeat_s: float,
        terminate: Callable[[], None],
    ) -> None:
        """`coordinates` says whether the process serves the control queue. `terminate` is called when another
        process has taken the node's name."""
        self.context = context
        self.worker = worker
        self._node = node
        self._terminate = terminate
        self._recovery_sweep = RecoverySweep(context) if coordinates else None
        self._periodic_work = PeriodicWork(context, self._recovery_sweep) if self._recovery_sweep else None
        self._presence = Presence(
            context.database,
            node,
            interval_s=heartbeat_s,
            on_beat=self._on_beat,
            on_outage=self._on_outage,
            on_replaced=self._on_replaced,
            queues=self._served_queues,
        )

    def start(self) -> None:
        """Recover the node's tasks, as soon as the datastore and the engine answer, and start all threads."""
        if self.worker is not None:
            self.worker.start()
            until_available(self.worker.recover, self.context.database.outages, self.worker.engine_outages)
        self._presence.start()
        if self._periodic_work is not None:
            self._periodic_work.start()
        if self.context.traces is not None:
            self.context.traces.start()

    def shut_down(self, policy: ShutdownPolicy) -> None:
        """Start no more steps; wait for, detach or release the running ones as the policy says."""
        if self.worker is None:
            return
        self.worker.drain(within_s=policy.wait_s)
        if policy.release:
            self.worker.release()
            return
        try:
            self.worker.extend_leases(for_s=_PLANNED_STOP_LEASE_S)
        except TorkError as error:
            log.warning("node.leases_not_extended", reason=str(error))
        self.worker.detach()

    def stop(self) -> None:
        """Stop all threads, after the last step has returned."""
        self._presence.stop()
        if self._periodic_work is not None:
            self._periodic_work.stop()
        if self.context.traces is not None:
            self.context.traces.stop()
        if self.worker is not None:
            self.worker.close()

    def _served_queues(self) -> Sequence[str]:
        """Return the queues from which this process takes tasks: none of workers whose disk is low."""
        if self.worker is None or self.worker.has_room:
            return self._node.queues
        return [queue for queue in self._node.queues if queue == CONTROL_QUEUE]

    def _on_beat(self, now: float) -> None:
        if self.worker is not None:
            self.worker.renew_leases()
        if self._recovery_sweep is not None:
            self._recovery_sweep.datastore_answered(now)

    def _on_outage(self) -> None:
        if self._recovery_sweep is not None:
            self._recovery_sweep.datastore_was_away()

    def _on_replaced(self) -> None:
        """Leave the running steps to the process that has the node's name now."""
        if self.worker is not None:
            self.worker.detach()
        self._terminate()
