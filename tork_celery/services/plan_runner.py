"""How a plan is carried out: stored in one transaction, and once that is committed, what follows from it."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from tork_celery.domain import transitions
from tork_celery.domain.errors import WrongState
from tork_celery.domain.model import Job, Task
from tork_celery.domain.plan import Plan
from tork_celery.domain.states import TaskState
from tork_celery.services.context import Coordinator
from tork_celery.services.publisher import Messages
from tork_celery.store import jobs, tasks, webhook_outbox

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StoredRelatives:
    """The tasks of a job, as the transaction that has locked it finds them."""

    tx: Connection

    def task(self, task_id: str) -> Task:
        found = tasks.get(self.tx, task_id)
        if found is None:
            raise LookupError(task_id)
        return found

    def waiting(self, parent_id: str, limit: int) -> Sequence[Task]:
        return tasks.waiting_children(self.tx, parent_id, limit=limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A plan that was stored at the time `now`, with the tasks that were stopped by it."""

    plan: Plan
    stopped: Sequence[Task] = ()
    now: float


Lock = Callable[[Connection], Job | None]
Decision = Callable[[Job, StoredRelatives, float], Plan | None]


def move(coordinator: Coordinator, lock: Lock, decide: Decision) -> Job | None:
    """Lock a job, decide what follows, store it, and do what follows from that.

    Returns the job as it is then; None when there is no job or nothing was to be done. Raises
    DatastoreUnavailable, and what `decide` raises; then nothing is stored.
    """
    stored = _decided(coordinator, lock, decide)
    if stored is None:
        return None
    follow_up(coordinator, stored)
    return stored.plan.job


def store(tx: Connection, plan: Plan, *, now: float) -> Stored:
    """Store a plan for a job whose row this transaction has locked."""
    webhook_outbox.record(tx, plan.job, (*plan.changed, *plan.added))
    jobs.save(tx, plan.job)
    tasks.save(tx, plan.changed, defined=plan.defined)
    tasks.add(tx, plan.added)
    stopped = _stopped(tx, plan.job, plan.stop) if plan.stop else ()
    for subjob in plan.subjobs:
        add(tx, subjob)
    return Stored(plan=plan, stopped=stopped, now=now)


def _stopped(tx: Connection, job: Job, state: TaskState) -> Sequence[Task]:
    webhook_outbox.record_stop(tx, job, state)
    return tasks.stop(tx, job.id, state=state)


def add(tx: Connection, plan: Plan) -> None:
    """Store a plan for a job that comes in."""
    webhook_outbox.record(tx, plan.job, plan.added)
    jobs.add(tx, plan.job)
    tasks.add(tx, plan.added)
    for subjob in plan.subjobs:
        add(tx, subjob)


def follow_up(coordinator: Coordinator, stored: Stored) -> None:
    """After the commit. What a crash keeps from being done here, the sweep finds."""
    messages = Messages(coordinator.dispatcher)
    todo = deque([stored])
    while todo:
        stored = todo.popleft()
        plan = stored.plan
        messages.send(plan.send, now=stored.now)
        messages.stop(stored.stopped)
        messages.fill(plan.unfilled)
        todo.extend(Stored(plan=subjob, now=stored.now) for subjob in plan.subjobs)
        if plan.job.state.ended and plan.job.parent_id:
            todo.extend(_parent_finished(coordinator, plan.job.parent_id))


def fill(coordinator: Coordinator, parent_id: str) -> None:
    """Give children of a composite their turn, as many as have room and fit into one transaction."""

    def decide(job: Job, relatives: StoredRelatives, now: float) -> Plan | None:
        parent = relatives.task(parent_id)
        return transitions.fill(job, parent, relatives, now=now, new_id=coordinator.new_id)

    move(coordinator, lambda tx: jobs.lock_of_task(tx, parent_id), decide)


def finish_parent(coordinator: Coordinator, task_id: str) -> None:
    """The job that a task waits for has ended: the job of that task goes on."""
    for stored in _parent_finished(coordinator, task_id):
        follow_up(coordinator, stored)


def cancel(coordinator: Coordinator, job_id: str) -> Job | None:
    """End a job and what of it is active, subjobs too; a job that waits for it ends with it. Raises
    WrongState; None when there is no such job."""

    def decide(job: Job, relatives: StoredRelatives, now: float) -> Plan:
        return transitions.cancel(job, relatives, now=now, new_id=coordinator.new_id)

    return move(coordinator, lambda tx: jobs.lock(tx, job_id), decide)


def end_orphan(coordinator: Coordinator, job_id: str) -> None:
    """Cancel a job whose parent has stopped, unless it has ended by itself."""
    try:
        cancel(coordinator, job_id)
    except WrongState:
        log.debug("job.ended_before", job_id=job_id)


def _parent_finished(coordinator: Coordinator, task_id: str) -> list[Stored]:
    def decide(job: Job, relatives: StoredRelatives, now: float) -> Plan | None:
        task = relatives.task(task_id)
        subjob = jobs.get(relatives.tx, task.subjob_id) if task.subjob_id else None
        if subjob is None:
            return None
        return transitions.subjob_ended(job, task, subjob, relatives, now=now, new_id=coordinator.new_id)

    stored = _decided(coordinator, lambda tx: jobs.lock_of_task(tx, task_id), decide)
    return [] if stored is None else [stored]


def _decided(coordinator: Coordinator, lock: Lock, decide: Decision) -> Stored | None:
    with coordinator.database.transaction() as tx:
        job = lock(tx)
        if job is None:
            return None
        now = coordinator.database.now(tx)
        plan = decide(job, StoredRelatives(tx), now)
        return None if plan is None else store(tx, plan, now=now)
