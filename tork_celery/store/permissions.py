"""Permissions on jobs and scheduled jobs, as conditions of queries."""

from collections.abc import Iterable

from sqlalchemy import Connection, Table, and_, exists, insert, not_, or_, select, true
from sqlalchemy.sql.elements import ColumnElement

from tork_celery.domain.definition import Permission
from tork_celery.domain.user import User
from tork_celery.store.tables import job_permissions, jobs, scheduled_job_permissions, scheduled_jobs, tasks

_USER, _ROLE = "user", "role"


def visible(user: User | None) -> ColumnElement[bool]:
    """Return a condition on `jobs`: the user may see and control the job.

    These are jobs without permissions, jobs that the user created, and jobs whose permissions name the user
    or one of the user's roles. Admins see all jobs, and so does None (authentication is disabled).
    """
    return _visible(user, jobs, job_permissions)


def visible_schedules(user: User | None) -> ColumnElement[bool]:
    """Return the same condition on `scheduled_jobs`."""
    return _visible(user, scheduled_jobs, scheduled_job_permissions)


def sees_job(tx: Connection, user: User | None, job_id: str) -> bool:
    """Return whether the job exists and the user may see it."""
    return tx.scalar(select(jobs.c.id).where(jobs.c.id == job_id, visible(user))) is not None


def sees_task(tx: Connection, user: User | None, task_id: str) -> bool:
    """Return whether the task exists and the user may see its job."""
    query = select(tasks.c.id).join(jobs, jobs.c.id == tasks.c.job_id)
    return tx.scalar(query.where(tasks.c.id == task_id, visible(user))) is not None


def sees_schedule(tx: Connection, user: User | None, schedule_id: str) -> bool:
    """Return whether the scheduled job exists and the user may see it."""
    query = select(scheduled_jobs.c.id).where(scheduled_jobs.c.id == schedule_id, visible_schedules(user))
    return tx.scalar(query) is not None


def permit(tx: Connection, job_id: str, permissions: Iterable[Permission]) -> None:
    """Store the permissions of a new job."""
    _permit(tx, job_permissions, job_id, permissions)


def permit_schedule(tx: Connection, schedule_id: str, permissions: Iterable[Permission]) -> None:
    """Store the permissions of a new scheduled job."""
    _permit(tx, scheduled_job_permissions, schedule_id, permissions)


def _visible(user: User | None, table: Table, permissions: Table) -> ColumnElement[bool]:
    if user is None or user.is_admin:
        return true()
    names_user = or_(
        and_(permissions.c.kind == _USER, permissions.c.name == user.username),
        and_(permissions.c.kind == _ROLE, permissions.c.name.in_(user.all_roles)),
    )
    return or_(
        not_(table.c.restricted),
        table.c.created_by == user.username,
        exists().where(permissions.c.job_id == table.c.id, names_user),
    )


def _permit(tx: Connection, table: Table, job_id: str, permissions: Iterable[Permission]) -> None:
    grantees = {(_USER, each.user) if each.user else (_ROLE, each.role) for each in permissions}
    if grantees:
        rows = [{"job_id": job_id, "kind": kind, "name": name} for kind, name in sorted(grantees, key=str)]
        tx.execute(insert(table), rows)
