"""Each firing creates one job, and only a firing that is missed in a downtime is skipped."""

import threading
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from tests.services.fakes import FakeDispatcher
from tests.services.scheduled import YEARLY, created_jobs, definition, make_due
from tests.store.stores import FlakyDatabase, seconds_now
from tork_celery.domain.definition import Schedule, Wait
from tork_celery.domain.errors import DatastoreUnavailable, SecretsUnreadable
from tork_celery.domain.scheduled_job import MAX_LATENESS_S, ScheduledJob, ScheduleState
from tork_celery.services import schedule_firing, schedule_overlap, schedules
from tork_celery.services.context import ServiceContext
from tork_celery.store import scheduled_jobs as store
from tork_celery.store.tables import schedule_checks, scheduled_jobs


def test_due_firing_creates_one_job(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    scheduled = schedules.create(
        context, definition(secrets={"a": "b"}, wait=Wait(timeout="1s")), created_by="ada"
    )
    schedule_firing.fire_due(context)
    assert created_jobs(database) == []
    make_due(database, scheduled)

    schedule_firing.fire_due(context)
    schedule_firing.fire_due(context)

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
            schedule_firing.fire_due(context)

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
def test_firing_that_came_due_in_a_downtime_is_caught_up_soon_or_skipped(
    context: ServiceContext, database: FlakyDatabase, ago_s: float, number: int
) -> None:
    scheduled = schedules.create(context, definition())
    make_due(database, scheduled, ago_s=ago_s)

    schedule_firing.fire_due(context)
    schedule_firing.fire_due(context)

    assert len(created_jobs(database)) == number
    assert schedules.get(context, scheduled.id).next_at == scheduled.next_at


@pytest.mark.covers("Schedule.catchUp")
@pytest.mark.parametrize(("catch_up", "number"), [("none", 0), ("last", 1), ("all", 3)])
def test_firings_of_a_long_downtime_are_made_up_by_choice(
    context: ServiceContext, database: FlakyDatabase, catch_up: str, number: int
) -> None:
    scheduled = schedules.create(context, definition("@every 1h", schedule={"catch_up": catch_up}))
    make_due(database, scheduled, ago_s=2.5 * 3600)

    schedule_firing.fire_due(context)
    schedule_firing.fire_due(context)

    assert len(created_jobs(database)) == number
    next_at = schedules.get(context, scheduled.id).next_at
    assert next_at is not None
    assert next_at > seconds_now(database)


def test_due_firing_waits_while_the_disk_of_the_datastore_is_full(
    context: ServiceContext, database: FlakyDatabase
) -> None:
    make_due(database, schedules.create(context, definition()))
    database.full = True
    schedule_firing.fire_due(context)
    assert created_jobs(database) == []

    database.full = False
    schedule_firing.fire_due(context)
    assert len(created_jobs(database)) == 1


def end_downtime(context: ServiceContext, *, ago_s: float) -> None:
    """Record that coordinators have run since `ago_s` seconds ago."""
    schedule_firing.fire_due(context)
    with context.database.transaction() as tx:
        tx.execute(update(schedule_checks).values(down_until=context.database.now(tx) - ago_s))


def test_firing_is_never_skipped_because_a_coordinator_is_busy(
    context: ServiceContext, database: FlakyDatabase
) -> None:
    scheduled = schedules.create(context, definition())
    end_downtime(context, ago_s=86_500.0)
    make_due(database, scheduled, ago_s=86_400.0)

    schedule_firing.fire_due(context)

    assert len(created_jobs(database)) == 1


def test_each_firing_of_a_busy_time_is_made(context: ServiceContext, database: FlakyDatabase) -> None:
    scheduled = schedules.create(context, definition("@every 10s"))
    end_downtime(context, ago_s=100.0)
    make_due(database, scheduled, ago_s=45.0)

    schedule_firing.fire_due(context)

    assert len(created_jobs(database)) == 5
    next_at = schedules.get(context, scheduled.id).next_at
    assert next_at is not None
    assert next_at > seconds_now(database)


def test_all_due_firings_are_made_in_one_call(context: ServiceContext, database: FlakyDatabase) -> None:
    for number in range(25):
        make_due(database, schedules.create(context, definition(name=str(number))))

    schedule_firing.fire_due(context)

    names = sorted(int(job.definition.name) for job in created_jobs(database))
    assert names == list(range(25))


def test_stop_request_ends_the_call_between_two_batches(
    context: ServiceContext, database: FlakyDatabase
) -> None:
    for _ in range(25):
        make_due(database, schedules.create(context, definition()))
    answers = iter([False, False, True])

    schedule_firing.fire_due(context, stopping=lambda: next(answers))

    assert 0 < len(created_jobs(database)) < 25


def test_absent_broker_is_tried_once_for_all_firings(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    for _ in range(25):
        make_due(database, schedules.create(context, definition()))
    dispatcher.away = True

    schedule_firing.fire_due(context)

    assert (len(created_jobs(database)), dispatcher.failed_calls) == (25, 1)


def test_firings_of_an_interrupted_batch_are_made_later(
    context: ServiceContext, database: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        make_due(database, schedules.create(context, definition()))
    claim_firing = store.claim_firing
    calls = iter([None, None, DatastoreUnavailable("the datastore is away")])

    def claim_with_outage(*args: Any, **options: Any) -> bool:
        if (outage := next(calls, None)) is not None:
            raise outage
        return claim_firing(*args, **options)

    monkeypatch.setattr(store, "claim_firing", claim_with_outage)
    with pytest.raises(DatastoreUnavailable):
        schedule_firing.fire_due(context)
    assert created_jobs(database) == []

    schedule_firing.fire_due(context)
    assert len(created_jobs(database)) == 5


def test_schedule_fires_while_broker_is_away(
    context: ServiceContext, database: FlakyDatabase, dispatcher: FakeDispatcher
) -> None:
    make_due(database, schedules.create(context, definition()))
    dispatcher.away = True

    schedule_firing.fire_due(context)

    assert len(created_jobs(database)) == 1


def test_paused_schedule_does_not_fire_until_resumed(
    context: ServiceContext, database: FlakyDatabase
) -> None:
    scheduled = schedules.create(context, definition())
    make_due(database, scheduled)
    schedules.pause(context, scheduled.id)
    schedule_firing.fire_due(context)
    assert created_jobs(database) == []
    assert schedules.get(context, scheduled.id).state is ScheduleState.PAUSED

    schedules.resume(context, scheduled.id)

    assert schedules.get(context, scheduled.id) == scheduled


def test_bug_in_one_firing_does_not_block_other_schedules(
    context: ServiceContext, database: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, intact = (schedules.create(context, definition(name=name)) for name in ("broken", "intact"))
    make_due(database, broken, ago_s=2.0)
    make_due(database, intact)
    plan = schedule_overlap.plan
    planned = []

    def plan_with_bug(context: ServiceContext, scheduled: ScheduledJob, *, now: float) -> Any:
        planned.append(scheduled.id)
        assert scheduled.id != broken.id
        return plan(context, scheduled, now=now)

    monkeypatch.setattr(schedule_overlap, "plan", plan_with_bug)
    schedule_firing.fire_due(context)
    schedule_firing.fire_due(context)

    assert [job.definition.name for job in created_jobs(database)] == ["intact"]
    assert planned == [broken.id, intact.id]
    assert schedules.get(context, broken.id).next_at == broken.next_at


@pytest.mark.parametrize("damage", [{"definition": {"name": 5}}, {"definition": {}}])
def test_scheduled_job_that_cannot_be_read_is_tried_again_later(
    context: ServiceContext, database: FlakyDatabase, damage: dict[str, Any]
) -> None:
    broken, intact = (schedules.create(context, definition(name=name)) for name in ("broken", "intact"))
    make_due(database, broken, ago_s=2.0)
    make_due(database, intact)
    with database.transaction() as tx:
        intact_row = tx.execute(select(scheduled_jobs).where(scheduled_jobs.c.id == intact.id)).one()
        tx.execute(update(scheduled_jobs).where(scheduled_jobs.c.id == broken.id).values(damage))

    schedule_firing.fire_due(context)
    schedule_firing.fire_due(context)

    assert [job.definition.name for job in created_jobs(database)] == ["intact"]
    with database.transaction() as tx:
        row = tx.execute(select(scheduled_jobs).where(scheduled_jobs.c.id == broken.id)).one()
        assert (row.state, row.next_at > database.now(tx)) == ("ACTIVE", True)
        repaired = {"definition": intact_row.definition, "next_at": database.now(tx) - 1.0}
        tx.execute(update(scheduled_jobs).where(scheduled_jobs.c.id == broken.id).values(repaired))

    schedule_firing.fire_due(context)
    assert len(created_jobs(database)) == 2


def test_scheduled_job_with_an_unreadable_secret_blocks_no_other(
    context: ServiceContext, database: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, intact = (schedules.create(context, definition(name=name)) for name in ("broken", "intact"))
    make_due(database, broken, ago_s=2.0)
    make_due(database, intact)
    get = store.get

    def get_unless_damaged(tx: Connection, id_: str) -> ScheduledJob | None:
        if id_ == broken.id:
            raise SecretsUnreadable("a secret in the datastore is damaged")
        return get(tx, id_)

    monkeypatch.setattr(store, "get", get_unless_damaged)
    schedule_firing.fire_due(context)

    assert [job.definition.name for job in created_jobs(database)] == ["intact"]
