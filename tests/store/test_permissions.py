"""Restricted jobs are visible to their creator, to granted users and roles, and to admins."""

from dataclasses import replace

import pytest
from sqlalchemy import func, select

from tests.domain.samples import submission
from tork_celery.domain.definition import Permission
from tork_celery.domain.model import Job, Task
from tork_celery.domain.user import User
from tork_celery.store import Database, job_pages, jobs, permissions, tables, tasks


def user(username: str, *roles: str) -> User:
    return User(username=username, name="", password_hash="", created_at=0.0, roles=frozenset(roles))


def store(database: Database, *permissions: Permission, created_by: str | None = "ada") -> tuple[Job, Task]:
    plan = submission()
    definition = replace(plan.job.definition, permissions=permissions)
    job = replace(plan.job, definition=definition, created_by=created_by)
    with database.transaction() as tx:
        jobs.add(tx, [job])
        tasks.add(tx, plan.added)
    return job, plan.added[0]


FOR_BOB, FOR_OPS, FOR_ALL = Permission(user="bob"), Permission(role="ops"), Permission(role="public")


@pytest.mark.covers("Permission.user", "Permission.role")
@pytest.mark.parametrize(
    ("granted", "viewer", "seen"),
    [
        ((), user("eve"), True),
        ((FOR_BOB,), user("eve"), False),
        ((FOR_BOB,), user("bob"), True),
        ((FOR_BOB,), user("ada"), True),
        ((FOR_BOB,), user("eve", "bob"), False),
        ((FOR_BOB,), user("eve", "admin"), True),
        ((FOR_BOB,), None, True),
        ((FOR_OPS,), user("ops"), False),
        ((FOR_OPS,), user("eve", "ops"), True),
        ((FOR_OPS, FOR_BOB, FOR_BOB), user("bob"), True),
        ((FOR_ALL,), user("eve"), True),
    ],
)
def test_job_is_visible_to_its_grantees(
    database: Database, granted: tuple[Permission, ...], viewer: User | None, *, seen: bool
) -> None:
    job, task = store(database, *granted)

    with database.reading() as tx:
        assert permissions.sees_job(tx, viewer, job.id) is seen
        assert permissions.sees_task(tx, viewer, task.id) is seen
        listed, total = job_pages.page(tx, number=1, size=9, viewer=viewer)
        assert ([each.id for each in listed], total) == (([job.id], 1) if seen else ([], 0))


def test_restricted_job_without_creator_is_hidden(database: Database) -> None:
    job, _ = store(database, FOR_BOB, created_by=None)

    with database.reading() as tx:
        assert not permissions.sees_job(tx, user("eve"), job.id)


def test_unknown_ids_are_not_visible(database: Database) -> None:
    with database.reading() as tx:
        for viewer in (user("ada"), None):
            assert not permissions.sees_job(tx, viewer, "none")
            assert not permissions.sees_task(tx, viewer, "none")
            assert not permissions.sees_schedule(tx, viewer, "none")


def test_permissions_are_deleted_with_their_job(database: Database) -> None:
    job, _ = store(database, FOR_BOB, FOR_OPS)

    with database.transaction() as tx:
        jobs.remove(tx, job.id)

    with database.reading() as tx:
        assert tx.scalar(select(func.count()).select_from(tables.job_permissions)) == 0
