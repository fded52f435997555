"""Queries of the recovery sweep: tasks and jobs that need a coordinator to advance."""

from sqlalchemy import Connection, exists, func, or_, select

from tork_celery.domain.model import Task
from tork_celery.domain.states import ACTIVE, ACTIVE_JOBS
from tork_celery.store.database import datastore_now, datastore_now_once
from tork_celery.store.tables import (
    ACTIVE_SUBJOBS,
    ACTIVE_TASKS,
    READY_TASKS,
    RUNNING_TASKS,
    SCHEDULED_TASKS,
    TIMED_JOBS,
    WAITING_RETRIES,
    jobs,
    tasks,
    waiting_tasks,
)
from tork_celery.store.task_conditions import between_steps, claimed, queue_names, sent
from tork_celery.store.tasks import by_ids, task_of


def lost(tx: Connection, *, limit: int) -> list[Task]:
    """Return claimed tasks whose lease has expired, with their rows locked."""
    query = (
        select(tasks)
        .where(*claimed(), tasks.c.lease_until < datastore_now())
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [task_of(row) for row in tx.execute(query)]


def unadvanced(tx: Connection, *, after_s: float, limit: int) -> list[tuple[str, int]]:
    """Return (id, delivery) of tasks whose steps have ended but whose job was not advanced.

    The steps ended at least `after_s` seconds ago.
    """
    query = (
        select(tasks.c.id, tasks.c.delivery)
        .where(
            RUNNING_TASKS,
            tasks.c.outcome.is_not(None),
            tasks.c.ended_at < datastore_now() - after_s,
        )
        .limit(limit)
    )
    return [(row.id, row.delivery) for row in tx.execute(query)]


def waiting_queues(tx: Connection) -> dict[tuple[str, str | None], int]:
    """Return the number of tasks that wait for a message to be consumed, by (queue, node).

    The node is set for tasks that wait between two steps, on the node that has started them. Tasks that are
    not sent do not count.
    """
    counts: dict[tuple[str, str | None], int] = {}
    names = queue_names(ACTIVE_TASKS, SCHEDULED_TASKS)
    number = select(func.count()).select_from(tasks).where(*sent(names.c.queue)).correlate(names)
    for queue, count in tx.execute(select(names.c.queue, number.scalar_subquery())):
        if count:
            counts[queue, None] = count
    started = select(tasks.c.queue, tasks.c.node, func.count()).where(*between_steps())
    for queue, node, count in tx.execute(started.group_by(tasks.c.queue, tasks.c.node)):
        counts[queue, node] = count
    return counts


def waiting_longest(
    tx: Connection, *, queue: str, node: str | None, after_s: float, limit: int
) -> list[Task]:
    """Return tasks of a queue whose last message was sent `after_s` seconds ago or earlier, oldest first.

    With a `node`, these are the tasks that it has started; otherwise the scheduled tasks. Their rows are
    locked.
    """
    not_sent_recently = tasks.c.sent_at < datastore_now_once() - after_s
    query = (
        select(tasks)
        .where(tasks.c.queue == queue, not_sent_recently)
        .order_by(tasks.c.sent_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    conditions = (*between_steps(), tasks.c.node == node) if node else (ACTIVE_TASKS, SCHEDULED_TASKS)
    return [task_of(row) for row in tx.execute(query.where(*conditions))]


def seconds_until_next_retry(tx: Connection) -> float | None:
    """Return the seconds until the next retry is due, 0 or less if one is due, or None without retries."""
    first = select(func.min(tasks.c.due_at)).where(WAITING_RETRIES).scalar_subquery()
    seconds: float | None = tx.scalar(select(first - datastore_now()))
    return seconds


def due_retries(tx: Connection, *, limit: int) -> list[Task]:
    """Return retries that are due, those first that wait longest, with their rows locked."""
    due = select(tasks.c.id).where(WAITING_RETRIES, tasks.c.due_at <= datastore_now_once())
    query = due.order_by(tasks.c.due_at).limit(limit).with_for_update(skip_locked=True)
    return by_ids(tx, tx.scalars(query).all())


def partly_started(tx: Connection, *, limit: int) -> list[str]:
    """Return the ids of composites that have children to start, and fewer running than their concurrency."""
    has_room = or_(
        tasks.c.concurrency == 0, tasks.c.started_children - tasks.c.completions < tasks.c.concurrency
    )
    query = select(tasks.c.id).where(RUNNING_TASKS, tasks.c.started_children < tasks.c.size, has_room)
    return list(tx.scalars(query.limit(limit)))


def with_ready_tasks(tx: Connection, *, limit: int) -> list[str]:
    """Return the ids of jobs and composites with tasks that a plan is to start."""
    of_job = waiting_tasks.c.parent_id == waiting_tasks.c.job_id
    of_composite = exists().where(tasks.c.id == waiting_tasks.c.parent_id, RUNNING_TASKS)
    query = select(waiting_tasks.c.parent_id).where(READY_TASKS, or_(of_job, of_composite))
    return list(tx.scalars(query.distinct().limit(limit)))


def with_ended_subjob(tx: Connection, *, limit: int) -> list[str]:
    """Return the ids of running tasks whose subjob has ended."""
    query = (
        select(tasks.c.id)
        .join(jobs, jobs.c.id == tasks.c.subjob_id)
        .where(RUNNING_TASKS, tasks.c.subjob_id.is_not(None), jobs.c.state.not_in(ACTIVE_JOBS))
    )
    return list(tx.scalars(query.limit(limit)))


def stopping(tx: Connection, *, limit: int) -> list[str]:
    """Return the ids of ended jobs that still have active tasks."""
    return list(tx.scalars(select(jobs.c.id).where(jobs.c.stopping.is_not(None)).limit(limit)))


def timed_out(tx: Connection, *, limit: int) -> list[str]:
    """Return the ids of running jobs whose timeout has passed."""
    passed = jobs.c.started_at + jobs.c.timeout_s <= datastore_now_once()
    return list(tx.scalars(select(jobs.c.id).where(TIMED_JOBS, passed).limit(limit)))


def orphans(tx: Connection, *, limit: int) -> list[str]:
    """Return the ids of active subjobs whose parent task is no longer active."""
    query = (
        select(jobs.c.id)
        .join(tasks, tasks.c.id == jobs.c.parent_id)
        .where(ACTIVE_SUBJOBS, tasks.c.state.not_in(ACTIVE))
    )
    return list(tx.scalars(query.limit(limit)))
