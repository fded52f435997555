"""Run plans: decide and store a plan in one transaction, then publish the messages that follow from it."""

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
    """Reads the tasks of a job in the transaction that has locked the job."""

    tx: Connection

    def task(self, task_id: str) -> Task:
        task = tasks.get(self.tx, task_id)
        if task is None:
            raise LookupError(task_id)
        return task

    def created_children(self, parent_id: str, limit: int) -> Sequence[Task]:
        return tasks.created_children(self.tx, parent_id, limit=limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPlan:
    """A plan that was stored at the time `now`. `ended_early` are the cancelled or stopped tasks that run on
    a node or have a subjob."""

    plan: Plan
    ended_early: Sequence[Task] = ()
    now: float


Lock = Callable[[Connection], Job | None]
Decide = Callable[[Job, StoredTaskReader, float], Plan | None]


def run(context: ServiceContext, lock: Lock, decide: Decide) -> Job | None:
    """Lock a job, decide on a plan, store it, and publish what follows after the commit.

    Returns the changed job; None when there is no such job or `decide` returns None. Raises
    DatastoreUnavailable and the errors of `decide`; then nothing is stored.
    """
    stored = _decide_and_store(context, lock, decide)
    if stored is None:
        return None
    follow_up(context, stored)
    return stored.plan.job


def _decide_and_store(context: ServiceContext, lock: Lock, decide: Decide) -> StoredPlan | None:
    with context.database.transaction() as tx:
        job = lock(tx)
        if job is None:
            return None
        now = context.database.now(tx)
        plan = decide(job, StoredTaskReader(tx), now)
        return None if plan is None else _store(tx, plan, now=now)


def _store(tx: Connection, plan: Plan, *, now: float) -> StoredPlan:
    webhook_outbox.record_job(tx, plan.job, (*plan.changed, *plan.added))
    jobs.save(tx, plan.job)
    tasks.save(tx, plan.changed, redefined=plan.redefined)
    tasks.add(tx, plan.added)
    ended_early = _end_active_tasks(tx, plan.job, plan.stop) if plan.stop else ()
    for subjob in plan.subjobs:
        store_new_job(tx, subjob)
    return StoredPlan(plan=plan, ended_early=ended_early, now=now)


def _end_active_tasks(tx: Connection, job: Job, state: TaskState) -> Sequence[Task]:
    webhook_outbox.record_early_end(tx, job, state)
    return tasks.end_active(tx, job.id, state=state)


def store_new_job(tx: Connection, plan: Plan) -> None:
    """Store the plan of a new job, with its subjobs."""
    webhook_outbox.record_job(tx, plan.job, plan.added)
    jobs.add(tx, plan.job)
    tasks.add(tx, plan.added)
    for subjob in plan.subjobs:
        store_new_job(tx, subjob)


def follow_up(context: ServiceContext, stored: StoredPlan) -> None:
    """Publish the messages of a committed plan. If its job is a subjob that has ended, also run the plan that
    resumes the parent job. The sweep finds what a crash prevents here."""
    publisher = Publisher(context.dispatcher)
    pending = deque([stored])
    while pending:
        stored = pending.popleft()
        plan = stored.plan
        publisher.send(plan.send, now=stored.now)
        publisher.kill_steps(stored.ended_early)
        publisher.cancel_subjobs(stored.ended_early)
        publisher.start_children(plan.partly_started)
        pending.extend(StoredPlan(plan=subjob, now=stored.now) for subjob in plan.subjobs)
        if plan.job.state.ended and plan.job.parent_id:
            parent = _store_resumed_parent(context, plan.job.parent_id)
            pending.extend([parent] if parent else [])


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

    return _decide_and_store(context, lambda tx: jobs.lock_by_task(tx, task_id), decide)
