"""Scheduled jobs: each firing creates one job, and a firing that is due for too long is skipped."""

import threading
from typing import Any

import pytest
from sqlalchemy import update

from tests.domain.samples import job_definition
from tests.services.fakes import FakeDispatcher
from tests.store.stores import FlakyDatabase, seconds_now
from tork_celery.domain.definition import JobDefinition, Permission, Schedule, Wait
from tork_celery.domain.errors import InvalidInput, NotFound, WrongState
from tork_celery.domain.model import Job
from tork_celery.domain.scheduled_job import MAX_LATENESS_S, ScheduledJob, ScheduleState
from tork_celery.services import schedules
from tork_celery.services.context import ServiceContext
from tork_celery.store import job_pages, jobs
from tork_celery.store.tables import scheduled_jobs

YEARLY = "0 0 1 1 *"


def definition(cron: str = YEARLY, **values: Any) -> JobDefinition:
    return job_definition(schedule=Schedule(cron=cron), **values)


def make_due(database: FlakyDatabase, scheduled: ScheduledJob, *, ago_s: float = 1.0) -> None:
    """Set the time of the next firing to `ago_s` ago."""
    next_at = float(int(seconds_now(database) - ago_s))
    with database.transaction() as tx:
        tx.execute(update(scheduled_jobs).where(scheduled_jobs.c.id == scheduled.id).values(next_at=next_at))


def created_jobs(database: FlakyDatabase) -> list[Job]:
    with database.reading() as tx:
        listed, _ = job_pages.page(tx, number=1, size=100)
        return [job for each in listed if (job := jobs.get(tx, each.id))]


def test_created_scheduled_job_is_active(context: ServiceContext) -> None:
    scheduled = schedules.create(context, definition(secrets={"a": "b"}), created_by="ada")

    assert schedules.get(context, scheduled.id) == scheduled
    assert (scheduled.state, scheduled.cron, scheduled.created_by) == (ScheduleState.ACTIVE, YEARLY, "ada")
    assert scheduled.next_at is not None
    assert scheduled.next_at > scheduled.created_at


def test_due_firing_creates_one_job(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    scheduled = schedules.create(
        context, definition(secrets={"a": "b"}, wait=Wait(timeout="1s")), created_by="ada"
    )
    schedules.fire_due(context)
    assert created_jobs(database) == []
    make_due(database, scheduled)

    schedules.fire_due(context)
    schedules.fire_due(context)

    [job] = created_jobs(database)
    assert job.definition.schedule == Schedule(id=scheduled.id, cron=YEARLY)
    assert (job.created_by, job.definition.secrets, job.definition.wait) == ("ada", {"a": "b"}, None)
    assert [task.job_id for task in dispatcher.sent] == [job.id]
    assert schedules.get(context, scheduled.id).next_at == scheduled.next_at


def test_concurrent_calls_fire_once(context: ServiceContext, database: FlakyDatabase) -> None:
    scheduled = [schedules.create(context, definition(name=str(number))) for number in range(5)]
    for round_ in range(1, 4):
        for each in scheduled:
            make_due(database, each)
        barrier = threading.Barrier(3)

        def fire(barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            schedules.fire_due(context)

        threads = [threading.Thread(target=fire) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        names = sorted(job.definition.name for job in created_jobs(database))
        assert names == sorted([str(number) for number in range(5)] * round_)


@pytest.mark.parametrize(
    ("ago_s", "number"), [(MAX_LATENESS_S / 2, 1), (MAX_LATENESS_S + 2, 0), (86_400.0, 0)]
)
def test_overdue_firing_is_caught_up_soon_or_skipped(
    context: ServiceContext, database: FlakyDatabase, ago_s: float, number: int
) -> None:
    scheduled = schedules.create(context, definition())
    make_due(database, scheduled, ago_s=ago_s)

    schedules.fire_due(context)
    schedules.fire_due(context)

    assert len(created_jobs(database)) == number
    assert schedules.get(context, scheduled.id).next_at == scheduled.next_at


def test_due_firing_waits_while_the_disk_of_the_datastore_is_full(
    context: ServiceContext, database: FlakyDatabase
) -> None:
    make_due(database, schedules.create(context, definition()))
    database.full = True
    schedules.fire_due(context)
    assert created_jobs(database) == []

    database.full = False
    schedules.fire_due(context)
    assert len(created_jobs(database)) == 1


def test_schedule_fires_while_broker_is_away(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    make_due(database, schedules.create(context, definition()))
    dispatcher.away = True

    schedules.fire_due(context)

    assert len(created_jobs(database)) == 1


def test_paused_schedule_does_not_fire_until_resumed(
    context: ServiceContext, database: FlakyDatabase
) -> None:
    scheduled = schedules.create(context, definition())
    make_due(database, scheduled)
    schedules.pause(context, scheduled.id)
    schedules.fire_due(context)
    assert created_jobs(database) == []
    assert schedules.get(context, scheduled.id).state is ScheduleState.PAUSED

    schedules.resume(context, scheduled.id)

    assert schedules.get(context, scheduled.id) == scheduled


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
    schedules.fire_due(context)

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


def test_bug_in_one_schedule_does_not_block_others(
    context: ServiceContext, database: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, intact = (schedules.create(context, definition(name=name)) for name in ("broken", "intact"))
    make_due(database, broken, ago_s=2.0)
    make_due(database, intact)
    plan = schedules._plan

    def plan_with_bug(context: ServiceContext, scheduled: ScheduledJob, *, now: float) -> Any:
        assert scheduled.id != broken.id
        return plan(context, scheduled, now=now)

    monkeypatch.setattr(schedules, "_plan", plan_with_bug)
    schedules.fire_due(context)

    assert [job.definition.name for job in created_jobs(database)] == ["intact"]
