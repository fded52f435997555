"""Calls of webhooks are noted in the transaction that changes what they tell of.

All of these are cheap for a job without webhooks, and are called before the change is stored.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import structlog
from sqlalchemy import Connection, select

from tork_celery.domain import webhooks
from tork_celery.domain.model import Job, Task
from tork_celery.domain.states import ACTIVE, JobState, TaskState
from tork_celery.domain.webhooks import SkippedCall, StateSnapshot, WebhookCall
from tork_celery.store import jobs, tasks, webhook_queue
from tork_celery.store import tables as t

log = structlog.get_logger(__name__)

_BATCH = 500  # ids in one query


def record(tx: Connection, job: Job, changed: Sequence[Task] = ()) -> None:
    """A job, and tasks of it, are about to be stored so, or are new."""
    if job.definition.webhooks:
        _note(tx, webhooks.of_job(_standing_of_job(tx, job.id), job))
        _record_tasks(tx, job, changed)


def record_stop(tx: Connection, job: Job, state: TaskState) -> None:
    """What of a job is active is about to take this state."""
    if webhooks.hears_of_tasks(job):
        query = select(t.tasks).where(t.tasks.c.job_id == job.id, t.tasks.c.state.in_(ACTIVE))
        active = [tasks.task_of(row) for row in tx.execute(query)]
        _record_tasks(tx, job, [replace(task, state=state) for task in active])


def record_tasks(tx: Connection, changed: Sequence[Task]) -> None:
    """Tasks, of whatever jobs, are about to be stored so."""
    for job in _listening(tx, {task.job_id for task in changed}):
        _record_tasks(tx, job, [task for task in changed if task.job_id == job.id])


def record_claim(tx: Connection, task: Task, *, job_began: bool) -> None:
    """A task was claimed for its first step; `job_began` when it is the first of its job that was."""
    for job in _listening(tx, [task.job_id]):
        if job_began:
            _note(tx, webhooks.of_job(StateSnapshot(JobState.SCHEDULED, job.progress), job))
        _note(tx, webhooks.of_task(job, StateSnapshot(TaskState.SCHEDULED, task.progress), task))


def record_progress(tx: Connection, progress: Mapping[str, float], *, node: str) -> None:
    """These tasks of a node, by id, have come so far."""
    if not progress:
        return
    query = (
        select(t.tasks)
        .join(t.jobs, t.jobs.c.id == t.tasks.c.job_id)
        .where(t.tasks.c.id.in_(progress), t.jobs.c.has_webhooks)
        .where(t.tasks.c.node == node, t.tasks.c.state == TaskState.RUNNING)
    )
    running = [tasks.task_of(row) for row in tx.execute(query)]
    record_tasks(tx, [replace(task, progress=progress[task.id]) for task in running])


def _record_tasks(tx: Connection, job: Job, changed: Sequence[Task]) -> None:
    if not webhooks.hears_of_tasks(job):
        return
    for start in range(0, len(changed), _BATCH):
        part = changed[start : start + _BATCH]
        before = _standings(tx, [task.id for task in part])
        for task in part:
            _note(tx, webhooks.of_task(job, before.get(task.id), task))


def _note(tx: Connection, told: Iterable[WebhookCall | SkippedCall]) -> None:
    calls = []
    for each in told:
        if isinstance(each, WebhookCall):
            calls.append(each)
        else:
            log.warning(
                "webhook.skipped",
                job_id=each.job_id,
                event_name=each.event,
                place=each.place,
                reason=each.reason,
            )
    webhook_queue.add(tx, calls)


def _listening(tx: Connection, job_ids: Iterable[str]) -> list[Job]:
    """Those of the jobs that have webhooks."""
    query = select(t.jobs.c.id).where(t.jobs.c.id.in_(set(job_ids)), t.jobs.c.has_webhooks)
    found = (jobs.get(tx, job_id) for job_id in tx.scalars(query).all())
    return [job for job in found if job is not None]


def _standing_of_job(tx: Connection, job_id: str) -> StateSnapshot | None:
    row = tx.execute(select(t.jobs.c.state, t.jobs.c.progress).where(t.jobs.c.id == job_id)).one_or_none()
    return row and StateSnapshot(*row)


def _standings(tx: Connection, task_ids: Sequence[str]) -> dict[str, StateSnapshot]:
    query = select(t.tasks.c.id, t.tasks.c.state, t.tasks.c.progress).where(t.tasks.c.id.in_(task_ids))
    return {row.id: StateSnapshot(row.state, row.progress) for row in tx.execute(query)}
