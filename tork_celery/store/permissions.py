"""Who sees which jobs, as conditions of queries."""

from collections.abc import Iterable

from sqlalchemy import Connection, Table, and_, exists, insert, not_, or_, select, true
from sqlalchemy.sql.elements import ColumnElement

from tork_celery.domain.definition import Permission
from tork_celery.domain.user import User
from tork_celery.store.tables import job_permissions, jobs, scheduled_job_permissions, scheduled_jobs, tasks

_USER, _ROLE = "user", "role"


def visible(user: User | None) -> ColumnElement[bool]:
    """True of the rows of `jobs` that the user may see and control: those without permissions, their own, and
    those whose permissions name them or a role of theirs. Nobody (no authentication) and admins see all."""
    return _visible(user, jobs, job_permissions)


def visible_schedules(user: User | None) -> ColumnElement[bool]:
    """The same of the rows of `scheduled_jobs`."""
    return _visible(user, scheduled_jobs, scheduled_job_permissions)


def sees_job(tx: Connection, user: User | None, job_id: str) -> bool:
    """False also where there is no such job."""
    return tx.scalar(select(jobs.c.id).where(jobs.c.id == job_id, visible(user))) is not None


def sees_task(tx: Connection, user: User | None, task_id: str) -> bool:
    """Whether the user may see the job of a task. False also where there is no such task."""
    query = select(tasks.c.id).join(jobs, jobs.c.id == tasks.c.job_id)
    return tx.scalar(query.where(tasks.c.id == task_id, visible(user))) is not None


def sees_schedule(tx: Connection, user: User | None, schedule_id: str) -> bool:
    """False also where there is no such scheduled job."""
    query = select(scheduled_jobs.c.id).where(scheduled_jobs.c.id == schedule_id, visible_schedules(user))
    return tx.scalar(query) is not None


def permit(tx: Connection, job_id: str, permissions: Iterable[Permission]) -> None:
    """Note who may see a new job."""
    _permit(tx, job_permissions, job_id, permissions)


def permit_schedule(tx: Connection, schedule_id: str, permissions: Iterable[Permission]) -> None:
    """Note who may see a new scheduled job."""
    _permit(tx, scheduled_job_permissions, schedule_id, permissions)


def _visible(user: User | None, table: Table, permissions: Table) -> ColumnElement[bool]:
    if user is None or user.is_admin:
        return true()
    named = or_(
        and_(permissions.c.kind == _USER, permissions.c.name == user.username),
        and_(permissions.c.kind == _ROLE, permissions.c.name.in_(user.all_roles)),
    )
    return or_(
        not_(table.c.restricted),
        table.c.created_by == user.username,
        exists().where(permissions.c.job_id == table.c.id, named),
    )


def _permit(tx: Connection, table: Table, job_id: str, permissions: Iterable[Permission]) -> None:
    named = {(_USER, each.user) if each.user else (_ROLE, each.role) for each in permissions}
    if named:
        rows = [{"job_id": job_id, "kind": kind, "name": name} for kind, name in sorted(named, key=str)]
        tx.execute(insert(table), rows)
