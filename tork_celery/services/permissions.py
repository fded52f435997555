"""Jobs are there for those only who may see them."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from tork_celery.domain.definition import Permission
from tork_celery.domain.errors import MOST_FAULTS, Fault, InvalidInput, NotFound
from tork_celery.domain.user import User
from tork_celery.store import Database, permissions, users


def check_job(database: Database, user: User | None, job_id: str) -> None:
    """Raises NotFound unless the user may see the job."""
    if _is_limited(user):
        with database.reading() as tx:
            if not permissions.sees_job(tx, user, job_id):
                raise NotFound(f"there is no job {job_id!r}")


def check_task(database: Database, user: User | None, task_id: str) -> None:
    """Raises NotFound unless the user may see the job of the task."""
    if _is_limited(user):
        with database.reading() as tx:
            if not permissions.sees_task(tx, user, task_id):
                raise NotFound(f"there is no task {task_id!r}")


def check_schedule(database: Database, user: User | None, schedule_id: str) -> None:
    """Raises NotFound unless the user may see the scheduled job."""
    if _is_limited(user):
        with database.reading() as tx:
            if not permissions.sees_schedule(tx, user, schedule_id):
                raise NotFound(f"there is no scheduled job {schedule_id!r}")


def check_permissions(tx: Connection, permissions: Sequence[Permission]) -> None:
    """Raises InvalidInput for those that name a user or role that there is not."""
    if not permissions:
        return
    known = {
        "user": users.known_users(tx, [each.user for each in permissions if each.user]),
        "role": users.known_roles(tx, [each.role for each in permissions if each.role]),
    }
    if faults := list(_unknown(permissions, known)):
        raise InvalidInput(*faults[:MOST_FAULTS])


def _is_limited(user: User | None) -> bool:
    """Whether there may be jobs that are not for them."""
    return user is not None and not user.is_admin


def _unknown(permissions: Iterable[Permission], known: dict[str, set[str]]) -> Iterable[Fault]:
    for index, permission in enumerate(permissions):
        kind = "user" if permission.user else "role"
        name = permission.user or permission.role or ""
        if name not in known[kind]:
            yield Fault(path=f"permissions[{index}].{kind}", message=f"there is no {kind} {name!r}")
