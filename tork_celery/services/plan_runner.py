"""Run plans: decide on a plan, store it in one transaction, then publish the messages that follow from it.

Decisions may evaluate expressions for up to a second. They are therefore made on a snapshot, without a lock,
and made again under the lock only if the job has changed in the meantime.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from tork_celery import webhook_outbox
from tork_celery.domain import transitions
from tork_celery.domain.dispatched import Dispatched
from tork_celery.domain.model import Job, Task
from tork_celery.domain.plan import ItemBatch, Plan, UnmetNeeds
from tork_celery.domain.states import HOLDING_SLOT, TaskState
from tork_celery.domain.webhooks import WebhookCall
from tork_celery.publisher import Publisher
from tork_celery.services import early_end
from tork_celery.services.context import ServiceContext
from tork_celery.store import (
    composite_items,
    job_results,
    job_slots,
    jobs,
    publishing_window,
    task_queues,
    tasks,
    waiting_tasks,
)
from tork_celery.store.job_results import StoredResults


@dataclass(frozen=True, slots=True)
class StoredTaskReader:
    """Reads the tasks and results of jobs in a transaction."""

    tx: Connection

    def task(self, task_id: str) -> Task:
        task = tasks.get(self.tx, task_id)
        if task is None:
            raise LookupError(task_id)
        return task

    def current_run(self, job_id: str) -> Sequence[Task]:
        return tasks.current_run(self.tx, job_id)

    def unmet_needs(
        self, job_id: str, parent_id: str | None, indexes: Sequence[int]
    ) -> Mapping[int, UnmetNeeds]:
        return waiting_tasks.unmet_needs(self.tx, job_id, parent_id, indexes)

    def ready(self, job_id: str, parent_id: str | None, limit: int) -> Mapping[int, UnmetNeeds]:
        return waiting_tasks.ready(self.tx, job_id, parent_id, limit=limit)

    def created_children(self, parent_id: str, limit: int) -> Sequence[Task]:
        return tasks.created_children(self.tx, parent_id, limit=limit)

    def item_batch(self, task: Task, first: int) -> ItemBatch:
        return composite_items.get(self.tx, task, first)

    def results(self, job_id: str) -> StoredResults:
        return StoredResults(self.tx, job_id)

    def dispatched(self, job_id: str) -> Dispatched:
        return jobs.dispatched(self.tx, job_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A plan with the webhook calls that report its changes.

    If the plan ends the job early, `ends` has the first of its tasks to end.
    """

    plan: Plan
    calls: Sequence[WebhookCall]
    ends: early_end.Batch | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPlan:
    """A plan that was stored.

    `sent` are the tasks to publish: those of the plan that its queues have room for, and others that wait
    there before them. `ended_early` are the cancelled or stopped tasks that run on a node or have a subjob.
    `ends_later` says that further tasks are to end.
    """

    plan: Plan
    sent: Sequence[Task] = ()
    ended_early: Sequence[Task] = ()
    ends_later: bool = False


Read = Callable[[Connection], Job | None]
Decide = Callable[[Job, StoredTaskReader, float], Plan | None]
Record = Callable[[Connection, Job], None]


def run(context: ServiceContext, read: Read, decide: Decide, record: Record | None = None) -> Job | None:
    """Read a job, decide on a plan, store it, and publish what follows after the commit.

    `decide` may be called twice. `record` is called in the transaction that stores the plan. Returns the
    changed job; None when there is no such job or `decide` returns None. Raises DatastoreUnavailable and the
    errors of `decide`; then nothing is stored.
    """
    stored = _decide_and_store(context, read, decide, record)
    if stored is None:
        return None
    follow_up(context, stored)
    return stored.plan.job


def _decide_and_store(
    context: ServiceContext, read: Read, decide: Decide, record: Record | None = None
) -> StoredPlan | None:
    with context.database.reading() as tx:
        job = read(tx)
        decision = _decide(context, tx, job, decide)
    if job is None or decision is None:
        return None
    with context.database.transaction() as tx:
        if not jobs.lock_unchanged(tx, job):
            decision = _decide(context, tx, jobs.get(tx, job.id), decide)
        if decision is None:
            return None
        if record is not None:
            record(tx, decision.plan.job)
        return _store(context, tx, decision)


def _decide(context: ServiceContext, tx: Connection, job: Job | None, decide: Decide) -> Decision | None:
    now = context.database.now(tx)
    plan = None if job is None else decide(job, StoredTaskReader(tx), now)
    if job is None or plan is None:
        return None
    planned = {task.id for task in plan.changed}
    return Decision(
        plan=plan,
        calls=webhook_outbox.calls_of_plan(tx, plan),
        ends=early_end.first_batch(tx, job, plan.stop, except_for=planned) if plan.stop else None,
    )


def _store(context: ServiceContext, tx: Connection, decision: Decision) -> StoredPlan:
    plan, ends = decision.plan, decision.ends
    webhook_outbox.record(tx, decision.calls)
    jobs.save(tx, plan.job)
    tasks.save(tx, plan.changed, redefined=plan.redefined)
    tasks.supersede(tx, plan.job.id, plan.superseded)
    job_results.remove(tx, plan.job.id, plan.removed_results)
    _add_rows(tx, [plan])
    composite_items.remove(tx, plan.job.id, plan.taken_items)
    waiting_tasks.remove(tx, plan.job.id, plan.started)
    if plan.job.state.ended:
        waiting_tasks.remove_all(tx, plan.job.id)
    ended_early = early_end.store(tx, plan.job.id, ends) if ends else ()
    stops_children = plan.stops_children and not ends
    if stops_children:
        jobs.set_stopping(tx, plan.job.id, TaskState.STOPPED)
    root_id = plan.job.root_id or plan.job.id
    jobs.add_dispatched(tx, root_id, plan.dispatched, restarted=plan.restarted)
    task_queues.add(tx, plan.dispatched.queues)
    return StoredPlan(
        plan=plan,
        sent=mark_sent(context, tx, [plan], queues=ends.queues if ends else ()),
        ended_early=ended_early,
        ends_later=stops_children or bool(ends and not ends.last),
    )


def store_new_jobs(tx: Connection, plans: Sequence[Plan], calls: Sequence[WebhookCall]) -> None:
    """Store the plans of new jobs, with their subjobs, and the webhook calls that report them."""
    webhook_outbox.record(tx, calls)
    jobs.add(tx, [plan.job for plan in plans], {plan.job.id: plan.dispatched for plan in plans})
    _add_rows(tx, plans)
    task_queues.add(tx, frozenset[str]().union(*(plan.dispatched.queues for plan in plans)))


def mark_sent(
    context: ServiceContext, tx: Connection, plans: Collection[Plan], *, queues: Collection[str] = ()
) -> list[Task]:
    """Mark tasks as sent, as far as the windows of the queues of stored plans, and of `queues`, have room.

    Return them. Call this last in the transaction.
    """
    known = [task for plan in plans for task in plan.scheduled]
    return publishing_window.mark_next_sent(
        tx, set(queues).union(*(plan.queues for plan in plans)), lease_s=context.lease_s, known=known
    )


def _add_rows(tx: Connection, plans: Sequence[Plan]) -> None:
    """Store the results, tasks, items and subjobs that plans add."""
    for plan in plans:
        job_results.save(tx, plan.job.id, plan.results)
        composite_items.add(tx, plan.job.id, plan.added_items)
        waiting_tasks.save(tx, plan.job.id, plan.waiting)
    tasks.add(tx, [task for plan in plans for task in plan.added])
    if subjobs := [subjob for plan in plans for subjob in plan.subjobs]:
        jobs.add(tx, [subjob.job for subjob in subjobs])
        _add_rows(tx, subjobs)


def follow_up(context: ServiceContext, stored: StoredPlan, publisher: Publisher | None = None) -> None:
    """Publish the messages of a committed plan. If its job is a subjob that has ended, also run the plan that
    resumes the parent job. The sweep finds what a crash prevents here."""
    publisher = publisher or context.publisher()
    pending = deque([stored])
    while pending:
        stored = pending.popleft()
        plan = stored.plan
        publisher.send(stored.sent)
        if any(task.state is TaskState.PENDING for task in plan.added):
            context.retry_stored.set()
        early_end.publish(publisher, plan.job.id, stored.ended_early, last=not stored.ends_later)
        publisher.start_children(plan.partly_started)
        pending.extend(StoredPlan(plan=subjob) for subjob in plan.subjobs)
        if plan.job.state.ended and context.traces is not None:
            context.traces.job_ended(plan.job.id)
        if plan.job.state.ended and plan.job.parent_id:
            parent = _store_resumed_parent(context, plan.job.parent_id)
            pending.extend([parent] if parent else [])
        if plan.job.slot_key and plan.job.state not in HOLDING_SLOT:
            pending.extend(_store_starts(context, plan.job.slot_key))


def start_waiting(context: ServiceContext, key: str) -> None:
    """Start the jobs that wait for slots of a concurrency key, as far as its limit allows."""
    for stored in _store_starts(context, key):
        follow_up(context, stored)


def _store_starts(context: ServiceContext, key: str) -> Iterator[StoredPlan]:
    """Start waiting jobs one after the other, and yield their plans."""

    def decide(job: Job, _: StoredTaskReader, now: float) -> Plan | None:
        return transitions.start(job, now=now, random=context.random)

    def take_slot(tx: Connection, job: Job) -> None:
        job_slots.lock(tx, key)
        if job_slots.next_waiting(tx, key) != job.id:
            raise _SlotTaken

    while True:
        with context.database.reading() as tx:
            job_id = job_slots.next_waiting(tx, key)
        if job_id is None:
            return
        read = partial(jobs.get, job_id=job_id)
        with suppress(_SlotTaken):
            stored = _decide_and_store(context, read, decide, take_slot)
            if stored is not None:
                yield stored


class _SlotTaken(Exception):
    """Another job has taken the slot."""


def resume_parent(context: ServiceContext, task_id: str) -> None:
    """Resume the job of a task whose subjob has ended. A second call does nothing."""
    stored = _store_resumed_parent(context, task_id)
    if stored is not None:
        follow_up(context, stored)


def _store_resumed_parent(context: ServiceContext, task_id: str) -> StoredPlan | None:
    def decide(job: Job, task_reader: StoredTaskReader, now: float) -> Plan | None:
        task = task_reader.task(task_id)
        subjob = jobs.get(task_reader.tx, task.subjob_id) if task.subjob_id else None
        if subjob is None:
            return None
        return transitions.subjob_ended(job, task, subjob, task_reader, now=now, random=context.random)

    return _decide_and_store(context, lambda tx: jobs.get_by_task(tx, task_id), decide)
