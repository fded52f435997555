"""Scheduled jobs are created, read, paused, resumed and deleted."""

import pytest

from tests.services.scheduled import YEARLY, created_jobs, definition, make_due
from tests.store.stores import FlakyDatabase
from tork_celery.domain.definition import Permission
from tork_celery.domain.errors import InvalidInput, NotFound, WrongState
from tork_celery.domain.scheduled_job import ScheduleState
from tork_celery.services import schedule_firing, schedules
from tork_celery.services.context import ServiceContext


def test_created_scheduled_job_is_active(context: ServiceContext) -> None:
    scheduled = schedules.create(context, definition(secrets={"a": "b"}), created_by="ada")

    assert schedules.get(context, scheduled.id) == scheduled
    assert (scheduled.state, scheduled.cron, scheduled.created_by) == (ScheduleState.ACTIVE, YEARLY, "ada")
    assert scheduled.next_at is not None
    assert scheduled.next_at > scheduled.created_at


def test_second_pause_or_resume_is_rejected(context: ServiceContext) -> None:
    scheduled = schedules.create(context, definition())

    with pytest.raises(WrongState, match="is ACTIVE; only one that is PAUSED can be resumed"):
        schedules.resume(context, scheduled.id)
    schedules.pause(context, scheduled.id)
    with pytest.raises(WrongState, match="is PAUSED; only one that is ACTIVE can be paused"):
        schedules.pause(context, scheduled.id)


def test_deleted_scheduled_job_leaves_its_jobs(context: ServiceContext, database: FlakyDatabase) -> None:
    scheduled = schedules.create(context, definition(permissions=(Permission(role="public"),)))
    make_due(database, scheduled)
    schedule_firing.fire_due(context)

    schedules.delete(context, scheduled.id)

    assert len(created_jobs(database)) == 1
    for request in (schedules.get, schedules.pause, schedules.resume, schedules.delete):
        with pytest.raises(NotFound, match=f"no scheduled job with the id '{scheduled.id}'"):
            request(context, scheduled.id)


def test_newest_scheduled_job_is_listed_first(context: ServiceContext) -> None:
    ids = [schedules.create(context, definition()).id for _ in range(3)]

    page = schedules.page(context, number=1, size=2)

    assert [scheduled.id for scheduled in page.items] == [ids[2], ids[1]]
    assert page.total_items == 3


def test_permission_of_unknown_user_is_rejected(context: ServiceContext) -> None:
    with pytest.raises(InvalidInput, match=r"permissions\[0\]\.user: no user named 'bob'"):
        schedules.create(context, definition(permissions=(Permission(user="bob"),)))
