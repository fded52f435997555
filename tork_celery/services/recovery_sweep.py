"""The sweep that finds what was left behind: by a worker that died, a message that was lost, a process that
was killed between a commit and what should have followed. Any number of coordinators may run it at once.
"""

from collections.abc import Callable

import structlog
from sqlalchemy import Connection

from tork_celery import webhook_outbox
from tork_celery.domain import queue_names, transitions
from tork_celery.domain.model import Task
from tork_celery.periodic_thread import survive_bugs
from tork_celery.services import housekeeping
from tork_celery.services.advance import advance, start_children
from tork_celery.services.context import ServiceContext
from tork_celery.services.job_control import cancel_subjob
from tork_celery.services.plan_runner import resume_parent
from tork_celery.services.publisher import Publisher
from tork_celery.store import nodes, recovery_queries, tasks

log = structlog.get_logger(__name__)

_BATCH = 500
_UNHEARD_S = 5.0  # a message that was published this long ago and is in no queue is lost
_UNADVANCED_S = 2.0  # `advance` takes milliseconds: after this its message is lost
_FORGET_NODES_S = 24 * 3600.0


class RecoverySweep:
    """Sweeps, and remembers for how long the datastore has answered without a gap.

    Who is alive can only be judged after a whole lease of that: before, it may be the datastore that kept
    the nodes from saying so. Gaps are seen by its own clock, as leases are: it goes on while a machine
    sleeps, and when it is set forward, all leases run out.
    """

    def __init__(
        self, context: ServiceContext, *, clock: Callable[[Connection], float] | None = None
    ) -> None:
        """`clock` reads that of the datastore."""
        self._context = context
        self._clock = clock or context.database.now
        self._answered_since: float | None = None
        self._answered_at = 0.0

    def datastore_answered(self, now: float) -> None:
        """At `now` by its clock. To be called again and again, far more often than once a lease, while the
        datastore answers."""
        if self._answered_since is None or not 0 <= now - self._answered_at <= self._context.lease_s:
            self._answered_since = now
        self._answered_at = now

    def datastore_was_away(self) -> None:
        self._answered_since = None

    def sweep(self) -> None:
        """Once over everything. Raises DatastoreUnavailable or BrokerUnavailable when it cannot now."""
        if self._nodes_can_be_judged():
            self._redeliver_lost()
            with self._context.database.transaction() as tx:
                nodes.remove_stale(tx, after_s=_FORGET_NODES_S)
        self._advance_ended()
        self._advance_composites()
        self._republish_waiting()
        housekeeping.tidy(self._context)

    def _nodes_can_be_judged(self) -> bool:
        since, lease_s = self._answered_since, self._context.lease_s
        with self._context.database.reading() as tx:
            now = self._clock(tx)
        return since is not None and now - since >= lease_s and now - self._answered_at <= lease_s

    def _redeliver_lost(self) -> None:
        with self._context.database.transaction() as tx:
            now = self._context.database.now(tx)
            lost = recovery_queries.lost(tx, limit=_BATCH)
            again = [transitions.redeliver(task, now=now) for task in lost]
            webhook_outbox.record_tasks(tx, again)
            tasks.save(tx, again)
        for task, before in zip(again, lost, strict=True):
            log.warning("task.lost", task_id=task.id, node=before.node, losses=task.losses)
        self._publish([task for task in again if task.outcome is None], now=now)

    def _advance_ended(self) -> None:
        with self._context.database.reading() as tx:
            ended = recovery_queries.unadvanced(tx, after_s=_UNADVANCED_S, limit=_BATCH)
        for task_id, delivery in ended:
            self._one(advance, task_id, delivery)

    def _advance_composites(self) -> None:
        """What a crash after a commit kept from following: children whose turn has come, parents of subjobs
        that ended, subjobs of parents that stopped."""
        with self._context.database.reading() as tx:
            partly_started = recovery_queries.partly_started(tx, limit=_BATCH)
            waiting_for_ended = recovery_queries.with_ended_subjob(tx, limit=_BATCH)
            orphans = recovery_queries.orphans(tx, limit=_BATCH)
        for task_id in partly_started:
            self._one(start_children, task_id)
        for task_id in waiting_for_ended:
            self._one(resume_parent, task_id)
        for job_id in orphans:
            self._one(cancel_subjob, job_id)

    def _one(self, action: Callable[..., None], *arguments: object) -> None:
        """A bug in what becomes of one keeps the sweep from none of the others."""
        with survive_bugs("sweep.failed", action=action.__name__, about=arguments[0]):
            action(self._context, *arguments)

    def _republish_waiting(self) -> None:
        """For each queue, publish as many again as there are more tasks waiting than messages."""
        with self._context.database.reading() as tx:
            waiting = recovery_queries.waiting_queues(tx)
        for (queue, node), number in waiting.items():
            depth = self._context.dispatcher.depth(queue_names.of_node(node) if node else queue)
            missing = number - depth
            if missing > 0:
                self._republish(queue, node, limit=min(missing, _BATCH))

    def _republish(self, queue: str, node: str | None, *, limit: int) -> None:
        with self._context.database.transaction() as tx:
            unheard = recovery_queries.waiting_longest(
                tx, queue=queue, node=node, after_s=_UNHEARD_S, limit=limit
            )
            tasks.mark_sent(tx, [task.id for task in unheard])
            now = self._context.database.now(tx)
        if unheard:
            log.info("tasks.republished", queue=queue, node=node, number=len(unheard))
        self._publish(unheard, now=now)

    def _publish(self, following: list[Task], *, now: float) -> None:
        Publisher(self._context.dispatcher).send(following, now=now)
