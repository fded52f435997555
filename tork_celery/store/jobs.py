"""Jobs in the datastore."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, func, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from tork_celery.domain.codec import Document, encode
from tork_celery.domain.definition import JobDefinition
from tork_celery.domain.model import Job
from tork_celery.domain.redaction import secrets_of_job
from tork_celery.domain.states import ACTIVE, ACTIVE_JOBS, JobState
from tork_celery.store import permissions
from tork_celery.store.database import datastore_now
from tork_celery.store.tables import job_definitions, jobs, tasks

_STANDING = (
    "id",
    "parent_id",
    "created_by",
    "created_at",
    "delete_at",
    "position",
    "started_at",
    "ended_at",
    "result",
    "error",
    "progress",
)
_stored = select(jobs, job_definitions.c.definition).join(job_definitions)
_locking = _stored.with_for_update(of=jobs, key_share=True)  # logs that refer to the row need not wait


def add(tx: Connection, job: Job) -> None:
    tx.execute(insert(jobs), _values(job))
    permissions.permit(tx, job.id, job.definition.permissions)
    definition = replace(job.definition, secrets={})
    tx.execute(insert(job_definitions).values(job_id=job.id, definition=definition))


def get(tx: Connection, job_id: str) -> Job | None:
    row = tx.execute(_stored.where(jobs.c.id == job_id)).one_or_none()
    return None if row is None else _job(row)


def lock_of_task(tx: Connection, task_id: str) -> Job | None:
    """The job of a task. Nobody else may change its row until this transaction ends."""
    job_id = select(tasks.c.job_id).where(tasks.c.id == task_id).scalar_subquery()
    row = tx.execute(_locking.where(jobs.c.id == job_id)).one_or_none()
    return None if row is None else _job(row)


def save(tx: Connection, job: Job) -> None:
    """What has become of the job; its definition never changes."""
    tx.execute(update(jobs).where(jobs.c.id == job.id), _progress(job))


def waiting_for(tx: Connection, job_id: str) -> str | None:
    """The job that waits for this one."""
    query = select(tasks.c.job_id).join(jobs, jobs.c.parent_id == tasks.c.id).where(jobs.c.id == job_id)
    return tx.scalar(query)


def unrelated() -> ColumnElement[bool]:
    """A condition on jobs: no other job still waits for this one, and none that this one began is active. As
    two conditions, not one, they let PostgreSQL look at one job after another."""
    parent, child = tasks.alias(), jobs.alias()
    waited_for = exists().where(parent.c.id == jobs.c.parent_id, parent.c.state.in_(ACTIVE))
    began = exists().where(tasks.c.job_id == jobs.c.id, tasks.c.subjob_id == child.c.id)
    active = began.where(child.c.parent_id == tasks.c.id, child.c.state.in_(ACTIVE_JOBS))
    return ~waited_for & ~active


def is_related(tx: Connection, job_id: str) -> bool:
    """Whether `unrelated` is false of the job."""
    return tx.scalar(select(jobs.c.id).where(jobs.c.id == job_id, ~unrelated())) is not None


def secrets(tx: Connection, job_id: str) -> set[str]:
    """The values of a job that are not to be shown."""
    shown = jobs.c.summary
    query = select(jobs.c.secrets, shown["inputs"], shown["hidden"]).where(jobs.c.id == job_id)
    row = tx.execute(query).one_or_none()
    if row is None:
        return set()
    values, inputs, hidden = row
    known = JobDefinition(name="", tasks=(), secrets=values, inputs=inputs or {}, hidden=tuple(hidden or ()))
    return secrets_of_job(known)


def hold(tx: Connection, task_id: str) -> None:
    """Lock the job of a task before the task, as whoever moves the job on does: in the other order the two
    could wait for each other for ever. SQLite has one writer at a time."""
    if tx.dialect.name != "sqlite":
        job_id = select(tasks.c.job_id).where(tasks.c.id == task_id).scalar_subquery()
        tx.execute(select(jobs.c.seq).where(jobs.c.id == job_id).with_for_update(key_share=True)).all()


def begin(tx: Connection, job_id: str) -> bool:
    """The job is RUNNING from now on, if it was only SCHEDULED; whether it was."""
    query = (
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.state == JobState.SCHEDULED)
        .values(state=JobState.RUNNING, started_at=datastore_now())
    )
    return tx.execute(query).rowcount == 1


def lock(tx: Connection, job_id: str) -> Job | None:
    """The job, whose row nobody else may change until this transaction ends."""
    row = tx.execute(_locking.where(jobs.c.id == job_id)).one_or_none()
    return None if row is None else _job(row)


def remove(tx: Connection, job_id: str) -> None:
    """The job goes, with its tasks and logs."""
    tx.execute(delete(jobs).where(jobs.c.id == job_id))


def state(tx: Connection, job_id: str) -> JobState | None:
    found = tx.scalar(select(jobs.c.state).where(jobs.c.id == job_id))
    return None if found is None else JobState(found)


def count(tx: Connection, state: JobState) -> int:
    return tx.scalar(select(func.count()).select_from(jobs).where(jobs.c.state == state)) or 0


def _values(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "name": job.definition.name,
        "summary": _summary(job),
        "secrets": dict(job.definition.secrets),
        "parent_id": job.parent_id,
        "created_by": job.created_by,
        "created_at": job.created_at,
        "restricted": bool(job.definition.permissions),
        "has_webhooks": bool(job.definition.webhooks),
        **_progress(job),
    }


def _progress(job: Job) -> dict[str, Any]:
    return {
        "state": job.state,
        "delete_at": job.delete_at,
        "results": dict(job.results),
        "position": job.position,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
        "result": job.result,
        "error": job.error,
        "progress": job.progress,
    }


def _summary(job: Job) -> Document:
    """What lists show of a definition; `store.pages` reads it, and triggers read its description and tags."""
    full = job.definition
    shown = JobDefinition(
        name=full.name,
        tasks=(),
        description=full.description,
        tags=full.tags,
        inputs=full.inputs,
        schedule=full.schedule,
        hidden=full.hidden,
    )
    return encode(shown) | {"taskCount": job.task_count}


def standing(row: Row[Any]) -> dict[str, Any]:
    """Of a row of `jobs`, all that a list shows of a Job beside its definition."""
    plain = {name: getattr(row, name) for name in _STANDING}
    return plain | {"state": JobState(row.state)}


def _job(row: Row[Any]) -> Job:
    definition = replace(row.definition, secrets=row.secrets)
    return Job(**standing(row), definition=definition, results=row.results)
