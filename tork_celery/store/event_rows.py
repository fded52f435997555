"""Queries of the jobs and tasks that events show."""

from collections.abc import Collection

from sqlalchemy import Connection, exists, select, union_all

from tork_celery.domain.model import ListedJob, Task
from tork_celery.domain.states import ACTIVE_JOBS, JobState, TaskState
from tork_celery.domain.user import User
from tork_celery.store import permissions
from tork_celery.store.job_pages import LISTED_JOBS, listed
from tork_celery.store.jobs import is_not_deleted
from tork_celery.store.tables import ACTIVE_TASKS, jobs, tasks
from tork_celery.store.tasks import task_of


def active_jobs(tx: Connection, viewer: User | None, *, limit: int) -> list[ListedJob]:
    """Return the newest active jobs that `viewer` may see, newest first."""
    newest = [
        select(
            select(jobs.c.seq)
            .where(jobs.c.state == state, is_not_deleted(), permissions.visible(viewer))
            .order_by(jobs.c.seq.desc())
            .limit(limit)
            .subquery()
        )
        for state in sorted(ACTIVE_JOBS)
    ]
    seqs = sorted(tx.scalars(union_all(*newest)), reverse=True)[:limit]
    return listed(tx.execute(LISTED_JOBS.where(jobs.c.seq.in_(seqs))).all())


def jobs_by_id(tx: Connection, job_ids: Collection[str]) -> list[ListedJob]:
    """Return those of the jobs that exist, newest first."""
    return listed(tx.execute(LISTED_JOBS.where(jobs.c.id.in_(job_ids))).all())


def visible_ids(tx: Connection, job_ids: Collection[str], viewer: User | None) -> set[str]:
    """Return the ids of those of the jobs that exist and that `viewer` may see."""
    query = select(jobs.c.id).where(jobs.c.id.in_(job_ids), is_not_deleted(), permissions.visible(viewer))
    return set(tx.scalars(query))


def ended_ids(tx: Connection, job_ids: Collection[str]) -> set[str]:
    """Return the ids of those of the jobs that have ended, with all their tasks."""
    active_task = exists().where(tasks.c.job_id == jobs.c.id, ACTIVE_TASKS)
    query = select(jobs.c.id).where(jobs.c.id.in_(job_ids), ~active_task)
    return set(tx.scalars(query.where(jobs.c.state.in_([each for each in JobState if each.ended]))))


def active_and_failed_tasks(tx: Connection, job_id: str, *, limit: int) -> list[Task]:
    """Return active tasks of a job, then failed ones, each in order of position, creation and index."""
    of_job = select(tasks).where(tasks.c.job_id == job_id)
    of_job = of_job.order_by(tasks.c.position, tasks.c.created_at, tasks.c.index)
    active = tx.execute(of_job.where(ACTIVE_TASKS).limit(limit)).all()
    failed = tx.execute(of_job.where(tasks.c.state == TaskState.FAILED).limit(limit - len(active))).all()
    return [task_of(row) for row in (*active, *failed)]


def tasks_by_id(tx: Connection, task_ids: Collection[str]) -> list[Task]:
    """Return those of the tasks that exist, in order of position, creation and index."""
    query = select(tasks).where(tasks.c.id.in_(task_ids))
    query = query.order_by(tasks.c.position, tasks.c.created_at, tasks.c.index)
    return [task_of(row) for row in tx.execute(query)]
