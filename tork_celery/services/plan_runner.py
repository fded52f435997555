"""Carry out plans: store one in a single transaction, then publish what it starts and kills."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from tork_celery import webhook_outbox
from tork_celery.domain import transitions
from tork_celery.domain.model import Job, Task
from tork_celery.domain.plan import Plan
from tork_celery.domain.states import TaskState
from tork_celery.services.context import ServiceContext
from tork_celery.services.publisher import Publisher
from tork_celery.store import jobs, tasks


@dataclass(frozen=True, slots=True)
class StoredTaskReader:
    """The tasks of a job, as the transaction that has locked it finds them."""

    tx: Connection

    def task(self, task_id: str) -> Task:
        found = tasks.get(self.tx, task_id)
        if found is None:
            raise LookupError(task_id)
        return found

    def created_children(self, parent_id: str, limit: int) -> Sequence[Task]:
        return tasks.created_children(self.tx, parent_id, limit=limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPlan:
    """A plan that was stored at the time `now`, with the tasks that were stopped by it."""

    plan: Plan
    stopped: Sequence[Task] = ()
    now: float


Lock = Callable[[Connection], Job | None]
Decision = Callable[[Job, StoredTaskReader, float], Plan | None]


def run(context: ServiceContext, lock: Lock, decide: Decision) -> Job | None:
    """Lock a job, decide what follows, store it, and do what follows from that.

    Returns the job as it is then; None when there is no job or nothing was to be done. Raises
    DatastoreUnavailable, and what `decide` raises; then nothing is stored.
    """
    stored = _decided(context, lock, decide)
    if stored is None:
        return None
    follow_up(context, stored)
    return stored.plan.job


def store_plan(tx: Connection, plan: Plan, *, now: float) -> StoredPlan:
    """Store a plan for a job whose row this transaction has locked."""
    webhook_outbox.record_job(tx, plan.job, (*plan.changed, *plan.added))
    jobs.save(tx, plan.job)
    tasks.save(tx, plan.changed, redefined=plan.redefined)
    tasks.add(tx, plan.added)
    stopped = _stopped(tx, plan.job, plan.stop) if plan.stop else ()
    for subjob in plan.subjobs:
        store_new_job(tx, subjob)
    return StoredPlan(plan=plan, stopped=stopped, now=now)


def _stopped(tx: Connection, job: Job, state: TaskState) -> Sequence[Task]:
    webhook_outbox.record_early_end(tx, job, state)
    return tasks.end_active(tx, job.id, state=state)


def store_new_job(tx: Connection, plan: Plan) -> None:
    """Store a plan for a job that comes in."""
    webhook_outbox.record_job(tx, plan.job, plan.added)
    jobs.add(tx, plan.job)
    tasks.add(tx, plan.added)
    for subjob in plan.subjobs:
        store_new_job(tx, subjob)


def follow_up(context: ServiceContext, stored: StoredPlan) -> None:
    """After the commit. What a crash keeps from being done here, the sweep finds."""
    publisher = Publisher(context.dispatcher)
    todo = deque([stored])
    while todo:
        stored = todo.popleft()
        plan = stored.plan
        publisher.send(plan.send, now=stored.now)
        publisher.kill(stored.stopped)
        publisher.start_children(plan.partly_started)
        todo.extend(StoredPlan(plan=subjob, now=stored.now) for subjob in plan.subjobs)
        if plan.job.state.ended and plan.job.parent_id:
            todo.extend(_resumed_parent(context, plan.job.parent_id))


def resume_parent(context: ServiceContext, task_id: str) -> None:
    """Move the job of a task on whose subjob has ended. A second call does nothing."""
    for stored in _resumed_parent(context, task_id):
        follow_up(context, stored)


def _resumed_parent(context: ServiceContext, task_id: str) -> list[StoredPlan]:
    def decide(job: Job, task_reader: StoredTaskReader, now: float) -> Plan | None:
        task = task_reader.task(task_id)
        subjob = jobs.get(task_reader.tx, task.subjob_id) if task.subjob_id else None
        if subjob is None:
            return None
        return transitions.subjob_ended(job, task, subjob, task_reader, now=now, random=context.random)

    stored = _decided(context, lambda tx: jobs.lock_of_task(tx, task_id), decide)
    return [] if stored is None else [stored]


def _decided(context: ServiceContext, lock: Lock, decide: Decision) -> StoredPlan | None:
    with context.database.transaction() as tx:
        job = lock(tx)
        if job is None:
            return None
        now = context.database.now(tx)
        plan = decide(job, StoredTaskReader(tx), now)
        return None if plan is None else store_plan(tx, plan, now=now)
