"""Permission checks: which users may see and control which jobs."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from tork_celery.domain.definition import Permission
from tork_celery.domain.errors import MOST_FAULTS, Fault, InvalidInput, NotFound
from tork_celery.domain.user import User
from tork_celery.store import Database, permissions, users


def check_job(database: Database, user: User | None, job_id: str) -> None:
    """Raises NotFound unless the user may see the job."""
    if _is_restricted(user):
        with database.reading() as tx:
            if not permissions.sees_job(tx, user, job_id):
                raise NotFound(f"no job with the id {job_id!r}")


def check_task(database: Database, user: User | None, task_id: str) -> None:
    """Raises NotFound unless the user may see the job of the task."""
    if _is_restricted(user):
        with database.reading() as tx:
            if not permissions.sees_task(tx, user, task_id):
                raise NotFound(f"no task with the id {task_id!r}")


def check_schedule(database: Database, user: User | None, schedule_id: str) -> None:
    """Raises NotFound unless the user may see the scheduled job."""
    if _is_restricted(user):
        with database.reading() as tx:
            if not permissions.sees_schedule(tx, user, schedule_id):
                raise NotFound(f"no scheduled job with the id {schedule_id!r}")


def check_grantees(tx: Connection, granted: Sequence[Permission]) -> None:
    """Raises InvalidInput for permissions of unknown users or roles."""
    if not granted:
        return
    known = {
        "user": users.existing_users(tx, [each.user for each in granted if each.user]),
        "role": users.existing_roles(tx, [each.role for each in granted if each.role]),
    }
    if faults := list(_unknown_grantees(granted, known)):
        raise InvalidInput(*faults[:MOST_FAULTS])


def _is_restricted(user: User | None) -> bool:
    """Return whether the user may see only some jobs. Without authentication there is no user."""
    return user is not None and not user.is_admin


def _unknown_grantees(granted: Iterable[Permission], known: dict[str, set[str]]) -> Iterable[Fault]:
    for index, permission in enumerate(granted):
        kind = "user" if permission.user else "role"
        name = permission.user or permission.role or ""
        if name not in known[kind]:
            yield Fault(path=f"permissions[{index}].{kind}", message=f"no {kind} named {name!r}")
