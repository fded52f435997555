"""Checks for due schedules are recorded, and a time without any is a downtime."""

import pytest
from sqlalchemy import update

from tests.domain.samples import job_definition
from tests.store.stores import seconds_now
from tork_celery.domain import scheduled_job
from tork_celery.domain.definition import Schedule
from tork_celery.domain.scheduled_job import MAX_LATENESS_S, Downtime
from tork_celery.store import Database, schedule_checks, scheduled_jobs
from tork_celery.store.tables import schedule_checks as table
from tork_celery.store.tables import scheduled_jobs as scheduled_table


def record(database: Database) -> Downtime:
    with database.transaction() as tx:
        return schedule_checks.record(tx)


def recent(database: Database) -> Downtime | None:
    with database.reading() as tx:
        return schedule_checks.recent(tx)


def set_check(database: Database, **values: float) -> None:
    with database.transaction() as tx:
        tx.execute(update(table).values(**values))


def store_due(database: Database, next_at: float) -> None:
    definition = job_definition(schedule=Schedule(cron="0 0 1 1 *"))
    with database.transaction() as tx:
        scheduled_jobs.add(tx, scheduled_job.new(definition, now=0.0, id_="s"))
        tx.execute(update(scheduled_table).values(next_at=next_at))


def test_all_time_before_the_first_check_is_a_downtime(database: Database) -> None:
    assert recent(database) is None
    before = seconds_now(database)

    downtime = record(database)

    assert downtime.start == 0.0
    assert downtime.end >= before
    assert recent(database) == record(database) == downtime


def test_time_without_a_check_is_a_downtime(database: Database) -> None:
    record(database)
    checked_at = seconds_now(database) - MAX_LATENESS_S - 1.0
    set_check(database, checked_at=checked_at, down_from=1.0, down_until=2.0)
    assert recent(database) is None

    downtime = record(database)

    assert downtime.start == checked_at
    assert downtime.end >= checked_at + MAX_LATENESS_S


@pytest.mark.parametrize("age_s", [-5.0, 5.0])
def test_short_time_without_a_check_is_no_downtime(database: Database, age_s: float) -> None:
    """A check from the future is one from before a change of the datastore's clock."""
    record(database)
    set_check(database, checked_at=seconds_now(database) - age_s, down_from=1.0, down_until=2.0)
    assert recent(database) is None

    assert record(database) == Downtime(start=1.0, end=2.0)
    assert recent(database) == Downtime(start=1.0, end=2.0)


@pytest.mark.parametrize(("next_at", "start"), [(150.0, 100.0), (50.0, 1000.0), (400.0, 1000.0)])
def test_downtime_continues_an_earlier_one_whose_missed_firings_are_still_due(
    database: Database, next_at: float, start: float
) -> None:
    """A coordinator that is killed while it skips missed firings does not make the next one fire them."""
    record(database)
    set_check(database, checked_at=1000.0, down_from=100.0, down_until=400.0)
    store_due(database, next_at)

    assert record(database).start == start
