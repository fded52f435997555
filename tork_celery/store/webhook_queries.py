"""Queries of the webhook outbox: which jobs have webhooks, and the stored states of jobs and tasks."""

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import Connection, select

from tork_celery.domain.model import Job, Task
from tork_celery.domain.states import ACTIVE, TaskState
from tork_celery.domain.webhooks import StateSnapshot
from tork_celery.store import jobs, tasks
from tork_celery.store import tables as t
from tork_celery.store.database import datastore_now


def now(tx: Connection) -> float:
    """Return the datastore's time, in seconds since the epoch."""
    return float(tx.scalar(select(datastore_now())) or 0.0)


def jobs_with_webhooks(tx: Connection, job_ids: Iterable[str]) -> list[Job]:
    """Return those of the jobs that have webhooks."""
    query = select(t.jobs.c.id).where(t.jobs.c.id.in_(set(job_ids)), t.jobs.c.has_webhooks)
    found = (jobs.get(tx, job_id) for job_id in tx.scalars(query).all())
    return [job for job in found if job is not None]


def active_tasks(tx: Connection, job_id: str) -> list[Task]:
    """Return the active tasks of a job."""
    query = select(t.tasks).where(t.tasks.c.job_id == job_id, t.tasks.c.state.in_(ACTIVE))
    return [tasks.task_of(row) for row in tx.execute(query)]


def running_tasks(tx: Connection, task_ids: Collection[str], *, node: str) -> list[Task]:
    """Return those of the tasks that run on the node and whose job has webhooks."""
    query = (
        select(t.tasks)
        .join(t.jobs, t.jobs.c.id == t.tasks.c.job_id)
        .where(t.tasks.c.id.in_(task_ids), t.jobs.c.has_webhooks)
        .where(t.tasks.c.node == node, t.tasks.c.state == TaskState.RUNNING)
    )
    return [tasks.task_of(row) for row in tx.execute(query)]


def job_snapshot(tx: Connection, job_id: str) -> StateSnapshot | None:
    """Return the stored state of a job; None for a new job."""
    query = select(t.jobs.c.state, t.jobs.c.progress).where(t.jobs.c.id == job_id)
    row = tx.execute(query).one_or_none()
    return None if row is None else StateSnapshot(row.state, row.progress)


def task_snapshots(tx: Connection, task_ids: Sequence[str]) -> dict[str, StateSnapshot]:
    """Return the stored states by task id. New tasks are left out."""
    query = select(t.tasks.c.id, t.tasks.c.state, t.tasks.c.progress).where(t.tasks.c.id.in_(task_ids))
    return {row.id: StateSnapshot(row.state, row.progress) for row in tx.execute(query)}
