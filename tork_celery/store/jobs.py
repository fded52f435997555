"""Queries of jobs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, delete, exists, func, insert, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from tork_celery.domain import durations, states
from tork_celery.domain.codec import Document, encode
from tork_celery.domain.definition import JobDefinition
from tork_celery.domain.dispatched import NOTHING, Dispatched
from tork_celery.domain.errors import IllegalTransition
from tork_celery.domain.masking import job_values
from tork_celery.domain.model import Job
from tork_celery.domain.states import ACTIVE, ACTIVE_JOBS, JobState, TaskState
from tork_celery.store import permissions
from tork_celery.store.database import datastore_now
from tork_celery.store.job_results import results_by_var
from tork_celery.store.tables import job_definitions, jobs, tasks

_LISTED_FIELDS = (
    "id",
    "parent_id",
    "root_id",
    "created_by",
    "created_at",
    "delete_at",
    "rerun_of",
    "slot_key",
    "slot_limit",
    "priority",
    "done_tasks",
    "ended_tasks",
    "started_at",
    "ended_at",
    "result",
    "error",
    "progress",
    "version",
)
_listed_fields = attrgetter(*_LISTED_FIELDS)
LISTED_COLUMNS = tuple(jobs.c[name] for name in (*_LISTED_FIELDS, "state"))
"""Columns that `listed_values` reads."""
DELETED = 0.0
"""`delete_at` of a job whose deletion has begun: it is not found, and its rows go in batches."""


def is_not_deleted() -> ColumnElement[bool]:
    """Return the condition of a job whose deletion has not begun."""
    return or_(jobs.c.delete_at.is_(None), jobs.c.delete_at != DELETED)


_INSERT = insert(jobs)
_INSERT_DEFINITION = insert(job_definitions)
_select: Select[Any] = (
    select(*LISTED_COLUMNS, jobs.c.secrets, job_definitions.c.definition)
    .join_from(jobs, job_definitions)
    .where(is_not_deleted())
)
_GET = _select.where(jobs.c.id == bindparam("job_id"))
_GET_WITH_RESULTS = _GET.add_columns(results_by_var(jobs.c.id).label("results"))
_LOCK = _GET.with_for_update(of=jobs, key_share=True)  # inserts of log parts do not wait


def add(tx: Connection, new: Sequence[Job], dispatched: Mapping[str, Dispatched] | None = None) -> None:
    """Store new jobs. `dispatched` has, by job id, what outermost jobs have dispatched already."""
    if new:
        added = dispatched or {}
        tx.execute(_INSERT, [_values(job) | _counters(added.get(job.id, NOTHING)) for job in new])
        for job in new:
            permissions.permit(tx, job.id, job.definition.permissions)
        tx.execute(_INSERT_DEFINITION, [_definition_values(job) for job in new])


def get(tx: Connection, job_id: str) -> Job | None:
    row = tx.execute(_GET, {"job_id": job_id}).one_or_none()
    return None if row is None else _job(row)


def get_with_results(tx: Connection, job_id: str) -> tuple[Job, dict[str, str]] | None:
    """Return the job, and the results of its tasks in the order of their names."""
    row = tx.execute(_GET_WITH_RESULTS, {"job_id": job_id}).one_or_none()
    return None if row is None else (_job(row), dict(sorted((row.results or {}).items())))


def get_by_task(tx: Connection, task_id: str) -> Job | None:
    """Return the job of a task."""
    job_id = select(tasks.c.job_id).where(tasks.c.id == task_id).scalar_subquery()
    row = tx.execute(_select.where(jobs.c.id == job_id)).one_or_none()
    return None if row is None else _job(row)


def lock(tx: Connection, job_id: str) -> Job | None:
    """Return the job, with its row locked until this transaction ends."""
    row = tx.execute(_LOCK, {"job_id": job_id}).one_or_none()
    return None if row is None else _job(row)


def lock_unchanged(tx: Connection, job: Job) -> bool:
    """Lock the row of a job until this transaction ends. Return whether it is as it was read."""
    query = select(jobs.c.version).where(jobs.c.id == job.id).with_for_update(key_share=True)
    return tx.scalar(query) == job.version


def save(tx: Connection, job: Job) -> None:
    """Store the changed fields of a job. Its definition never changes.

    Raises IllegalTransition if `JOB_MOVES` does not have the move from the stored state.
    """
    allowed = {job.state, *states.sources(job.state)}
    query = update(jobs).where(jobs.c.id == job.id, jobs.c.state.in_(allowed))
    if tx.execute(query.values(version=jobs.c.version + 1, **_mutable_values(job))).rowcount == 0:
        stored = state(tx, job.id)
        if stored is None:
            raise LookupError(f"job {job.id} is not stored")
        raise IllegalTransition(f"job {job.id} cannot move from {stored} to {job.state}")


def dispatched(tx: Connection, job_id: str) -> Dispatched:
    """Return what an outermost job and its subjobs have dispatched."""
    columns = jobs.c.dispatched_tasks, jobs.c.dispatched_chars, jobs.c.queues
    row = tx.execute(select(*columns).where(jobs.c.id == job_id)).one_or_none()
    if row is None:  # deleted before a detached subjob
        return NOTHING
    return Dispatched(tasks=row.dispatched_tasks, chars=row.dispatched_chars, queues=frozenset(row.queues))


def add_dispatched(tx: Connection, job_id: str, added: Dispatched, *, restarted: bool = False) -> None:
    """Add to what an outermost job has dispatched, or begin anew when it is restarted.

    The row of the job stays locked until this transaction ends: call it last.
    """
    if added or restarted:
        query = select(jobs.c.queues).where(jobs.c.id == job_id).with_for_update(key_share=True)
        queues = added.queues if restarted else added.queues.union(tx.scalar(query) or ())
        before = (0, 0) if restarted else (jobs.c.dispatched_tasks, jobs.c.dispatched_chars)
        counters = {"dispatched_tasks": before[0] + added.tasks, "dispatched_chars": before[1] + added.chars}
        tx.execute(update(jobs).where(jobs.c.id == job_id).values(**counters, queues=sorted(queues)))


def stopping(tx: Connection, job_id: str) -> TaskState | None:
    """Return the state in which active tasks of an ended job are still to end; None if none are left."""
    value = tx.scalar(select(jobs.c.stopping).where(jobs.c.id == job_id))
    return None if value is None else TaskState(value)


def set_stopping(tx: Connection, job_id: str, state: TaskState | None) -> None:
    """Store the state in which active tasks of an ended job are still to end; None after the last one."""
    tx.execute(update(jobs).where(jobs.c.id == job_id).values(stopping=state))


def parent_job_id(tx: Connection, job_id: str) -> str | None:
    """Return the id of the job that waits for this one as its subjob."""
    query = select(tasks.c.job_id).join(jobs, jobs.c.parent_id == tasks.c.id).where(jobs.c.id == job_id)
    return tx.scalar(query)


def without_active_relatives() -> ColumnElement[bool]:
    """Return a condition on jobs: no active task waits for the job, and no subjob of it is active.

    With two EXISTS instead of one, PostgreSQL can evaluate the condition job by job.
    """
    parent, child = tasks.alias(), jobs.alias()
    awaited = exists().where(parent.c.id == jobs.c.parent_id, parent.c.state.in_(ACTIVE))
    subjob = exists().where(tasks.c.job_id == jobs.c.id, tasks.c.subjob_id == child.c.id)
    active_subjob = subjob.where(child.c.parent_id == tasks.c.id, child.c.state.in_(ACTIVE_JOBS))
    return ~awaited & ~active_subjob


def has_active_relatives(tx: Connection, job_id: str) -> bool:
    """Return whether an active task waits for the job, or a subjob of it is active."""
    query = select(jobs.c.id).where(jobs.c.id == job_id, ~without_active_relatives())
    return tx.scalar(query) is not None


def secrets(tx: Connection, job_id: str) -> frozenset[str]:
    """Return the values of a job to mask."""
    row = tx.execute(select(jobs.c.secrets, jobs.c.summary).where(jobs.c.id == job_id)).one_or_none()
    if row is None:
        return frozenset()
    definition = JobDefinition(
        name="",
        tasks=(),
        secrets=row.secrets,
        inputs=row.summary.get("inputs", {}),
        hidden=tuple(row.summary.get("hidden", ())),
    )
    return job_values(definition)


def lock_row_by_task(tx: Connection, task_id: str) -> None:
    """Lock the row of a task's job, without reading the job.

    Call it before a statement that locks the task: everything else locks the job first, and the reverse order
    would deadlock. Does nothing on SQLite, which has one writer at a time.
    """
    if tx.dialect.name != "sqlite":
        job_id = select(tasks.c.job_id).where(tasks.c.id == task_id).scalar_subquery()
        tx.execute(select(jobs.c.seq).where(jobs.c.id == job_id).with_for_update(key_share=True)).all()


def start(tx: Connection, job_id: str) -> bool:
    """Change the state of a scheduled job to RUNNING. Returns False, and changes nothing, in other states."""
    query = (
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.state == JobState.SCHEDULED)
        .values(state=JobState.RUNNING, started_at=datastore_now(), version=jobs.c.version + 1)
    )
    return tx.execute(query).rowcount == 1


def remove(tx: Connection, job_id: str) -> None:
    """Delete a job, with its tasks and logs."""
    tx.execute(delete(jobs).where(jobs.c.id == job_id))


def state(tx: Connection, job_id: str) -> JobState | None:
    value = tx.scalar(select(jobs.c.state).where(jobs.c.id == job_id, is_not_deleted()))
    return None if value is None else JobState(value)


def states_by_id(tx: Connection, job_ids: Collection[str]) -> dict[str, JobState]:
    """Return the states of those of the jobs that exist, by id."""
    query = select(jobs.c.id, jobs.c.state).where(jobs.c.id.in_(job_ids))
    return {row.id: JobState(row.state) for row in tx.execute(query)}


def count(tx: Connection, state: JobState) -> int:
    return tx.scalar(select(func.count()).select_from(jobs).where(jobs.c.state == state)) or 0


def _values(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "name": job.definition.name,
        "summary": _summary(job),
        "secrets": dict(job.definition.secrets),
        "parent_id": job.parent_id,
        "rerun_of": job.rerun_of,
        "slot_key": job.slot_key,
        "slot_limit": job.slot_limit,
        "root_id": job.root_id,
        "created_by": job.created_by,
        "created_at": job.created_at,
        "schedule_id": job.definition.schedule.id if job.definition.schedule else None,
        "timeout_s": durations.seconds(job.definition.timeout) if job.definition.timeout else None,
        "restricted": bool(job.definition.permissions),
        "has_webhooks": bool(job.definition.webhooks),
        **_mutable_values(job),
    }


def _definition_values(job: Job) -> dict[str, Any]:
    definition = job.definition
    return {
        "job_id": job.id,
        "definition": replace(definition, secrets={}) if definition.secrets else definition,
    }


def _counters(dispatched: Dispatched) -> dict[str, Any]:
    stored = dispatched or NOTHING  # which is also what is not worth storing
    return {
        "dispatched_tasks": stored.tasks,
        "dispatched_chars": stored.chars,
        "queues": sorted(stored.queues),
    }


def _mutable_values(job: Job) -> dict[str, Any]:
    return {
        "state": job.state,
        "delete_at": job.delete_at,
        "priority": job.priority,
        "done_tasks": job.done_tasks,
        "ended_tasks": job.ended_tasks,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
        "result": job.result,
        "error": job.error,
        "progress": job.progress,
    }


def _summary(job: Job) -> Document:
    """Return the part of a definition that lists show.

    `store.job_pages` reads it; triggers read its description and tags.
    """
    full = job.definition
    listed = JobDefinition(
        name=full.name,
        tasks=(),
        description=full.description,
        tags=full.tags,
        inputs=full.inputs,
        schedule=full.schedule,
        hidden=full.hidden,
    )
    return encode(listed) | {"taskCount": job.task_count}


def listed_values(row: Row[Any]) -> dict[str, Any]:
    """Return the fields of a Job that lists show, without its definition."""
    values = dict(zip(_LISTED_FIELDS, _listed_fields(row), strict=True))
    values["state"] = JobState(row.state)
    return values


def _job(row: Row[Any]) -> Job:
    definition = replace(row.definition, secrets=row.secrets) if row.secrets else row.definition
    return Job(**listed_values(row), definition=definition)
