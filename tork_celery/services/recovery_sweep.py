"""The recovery sweep: finds tasks and jobs that stopped moving, and moves them on.

Causes are a worker that died, a lost message, or a process that was killed between a commit and the message
that follows it.
"""

from collections.abc import Callable, Collection

import structlog
from sqlalchemy import Connection

from tork_celery import webhook_outbox
from tork_celery.domain import transitions
from tork_celery.domain.model import Task
from tork_celery.periodic_thread import survive_bugs
from tork_celery.services import housekeeping, queues
from tork_celery.services.advance import advance, start_children
from tork_celery.services.context import ServiceContext
from tork_celery.services.early_end import end_tasks
from tork_celery.services.job_control import cancel_subjob, time_out
from tork_celery.services.plan_runner import resume_parent, start_waiting
from tork_celery.services.queues import WaitingTasks
from tork_celery.store import job_slots, nodes, publishing_window, recovery_queries, tasks

log = structlog.get_logger(__name__)

_BATCH = 500
_QUEUES_PER_SWEEP = 100
_MESSAGE_LOST_S = 5.0  # a message that was published this long ago and is in no queue is lost
_ADVANCE_LOST_S = 2.0  # `advance` takes milliseconds: its message is lost after this time
_NODE_RETENTION_S = 24 * 3600.0


class RecoverySweep:
    """Sweeps, and tracks how long the datastore has answered without a gap.

    Leases are judged only after a whole lease without a gap: nodes cannot renew them while the datastore is
    away. Gaps are measured by the datastore's clock, as leases are. That clock keeps running while a machine
    is suspended, and all leases expire when it is set forward.

    Any number of coordinators may sweep at once.
    """

    def __init__(
        self, context: ServiceContext, *, clock: Callable[[Connection], float] | None = None
    ) -> None:
        """`clock` returns the datastore's time."""
        self._context = context
        self._clock = clock or context.database.now
        self._answered_since: float | None = None
        self._answered_at = 0.0
        self._last_queue = ""

    def datastore_answered(self, now: float) -> None:
        """Record that the datastore answered at `now` by its clock. Call this several times per lease."""
        if self._answered_since is None or not 0 <= now - self._answered_at <= self._context.lease_s:
            self._answered_since = now
        self._answered_at = now

    def datastore_was_away(self) -> None:
        self._answered_since = None

    def sweep(self) -> None:
        """Run one sweep. Raises DatastoreUnavailable, BrokerUnavailable."""
        if self._can_judge_leases():
            self._redeliver_lost()
            with self._context.database.transaction() as tx:
                nodes.remove_stale(tx, after_s=_NODE_RETENTION_S)
        self._advance_ended()
        self._advance_composites()
        self._start_waiting_jobs()
        housekeeping.run(self._context)
        self._fill_windows()
        self._republish_missing()  # the last parts, because they fail without a broker
        queues.delete_unused(self._context)

    def _can_judge_leases(self) -> bool:
        since, lease_s = self._answered_since, self._context.lease_s
        with self._context.database.reading() as tx:
            now = self._clock(tx)
        return since is not None and now - since >= lease_s and now - self._answered_at <= lease_s

    def _redeliver_lost(self) -> None:
        """Redeliver tasks with an expired lease, and fail those that were lost too often."""
        with self._context.database.transaction() as tx:
            now = self._context.database.now(tx)
            lost = recovery_queries.lost(tx, limit=_BATCH)
            redelivered = [
                transitions.redeliver(task, now=now, lease_s=self._context.lease_s) for task in lost
            ]
            webhook_outbox.record_tasks(tx, redelivered)
            tasks.save(tx, redelivered)
            sent = self._mark_next_sent(tx, {task.queue for task in redelivered if task.outcome is None})
        for task, before in zip(redelivered, lost, strict=True):
            log.warning("task.lost", task_id=task.id, node=before.node, losses=task.losses)
        self._context.publisher().send(sent)

    def _advance_ended(self) -> None:
        with self._context.database.reading() as tx:
            ended = recovery_queries.unadvanced(tx, after_s=_ADVANCE_LOST_S, limit=_BATCH)
        for task_id, delivery in ended:
            self._survive(advance, task_id, delivery)

    def _advance_composites(self) -> None:
        """Start children with a free slot and tasks whose needs have ended, resume parents of ended subjobs,
        cancel orphaned subjobs, fail jobs that time out, and end the tasks of jobs that ended early."""
        with self._context.database.reading() as tx:
            partly_started = recovery_queries.partly_started(tx, limit=_BATCH)
            with_ready_tasks = recovery_queries.with_ready_tasks(tx, limit=_BATCH)
            with_ended_subjob = recovery_queries.with_ended_subjob(tx, limit=_BATCH)
            orphans = recovery_queries.orphans(tx, limit=_BATCH)
            timed_out = recovery_queries.timed_out(tx, limit=_BATCH)
            stopping = recovery_queries.stopping(tx, limit=_BATCH)
        for id_ in (*partly_started, *with_ready_tasks):
            self._survive(start_children, id_)
        for task_id in with_ended_subjob:
            self._survive(resume_parent, task_id)
        for job_id in orphans:
            self._survive(cancel_subjob, job_id)
        for job_id in timed_out:
            self._survive(time_out, job_id)
        for job_id in stopping:
            self._survive(end_tasks, job_id)

    def _start_waiting_jobs(self) -> None:
        """Start jobs that wait for slots which a crash, a deletion or a changed priority left free."""
        with self._context.database.reading() as tx:
            keys = job_slots.waiting_keys(tx, limit=_BATCH)
        for key in keys:
            self._survive(start_waiting, key)

    def _survive(self, action: Callable[..., None], id_: str, *arguments: object) -> None:
        """Run an action on one task or job; a bug in it is logged and does not end the sweep."""
        with survive_bugs("sweep.failed", action=action.__name__, id=id_):
            action(self._context, id_, *arguments)

    def _fill_windows(self) -> None:
        """Send the next tasks of queues whose windows have room.

        The transaction that makes room also fills it; the sweep fills what crashes and new workers leave.
        """
        with self._context.database.reading() as tx:
            queues_ = publishing_window.queues_with_room(tx, lease_s=self._context.lease_s)
        if queues_:
            with self._context.database.transaction() as tx:
                sent = self._mark_next_sent(tx, queues_[:_QUEUES_PER_SWEEP])
            self._context.publisher().send(sent)

    def _mark_next_sent(self, tx: Connection, queues_: Collection[str]) -> list[Task]:
        return publishing_window.mark_next_sent(tx, queues_, lease_s=self._context.lease_s)

    def _republish_missing(self) -> None:
        """Republish the oldest sent tasks of each queue that holds fewer messages than sent tasks.

        One sweep checks a batch of queues, and the next one continues behind it.
        """
        with self._context.database.reading() as tx:
            waiting = [
                WaitingTasks(queue=queue, node=node, number=number)
                for (queue, node), number in recovery_queries.waiting_queues(tx).items()
            ]
        for tasks_, missing in queues.missing_messages(self._context, self._next_queues(waiting)):
            self._republish(tasks_.queue, tasks_.node, limit=min(missing, _BATCH))

    def _next_queues(self, waiting: list[WaitingTasks]) -> list[WaitingTasks]:
        waiting.sort(key=lambda each: each.broker_queue)
        behind = [each for each in waiting if each.broker_queue > self._last_queue]
        batch = (behind + waiting[: len(waiting) - len(behind)])[:_QUEUES_PER_SWEEP]
        self._last_queue = batch[-1].broker_queue if batch else ""
        return batch

    def _republish(self, queue: str, node: str | None, *, limit: int) -> None:
        with self._context.database.transaction() as tx:
            missing = recovery_queries.waiting_longest(
                tx, queue=queue, node=node, after_s=_MESSAGE_LOST_S, limit=limit
            )
            tasks.mark_sent(tx, [task.id for task in missing])
        if missing:
            log.info("tasks.republished", queue=queue, node=node, number=len(missing))
        self._context.publisher().send(missing)
