"""Thousands of schedules that are due at once are all fired, by any number of coordinators."""

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from tests.domain.samples import job_definition
from tests.services.fakes import FakeDispatcher
from tests.store.stores import sqlite_url
from tork_celery.domain import scheduled_job
from tork_celery.domain.definition import Schedule
from tork_celery.services import schedule_firing
from tork_celery.services.context import ServiceContext
from tork_celery.store import Database, schedule_checks, scheduled_jobs, tables

NUMBERS = {"sqlite": 4500, "postgresql": 500}
COORDINATORS = 2


@pytest.fixture(params=[pytest.param("sqlite", marks=pytest.mark.slow), "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path)
    postgresql_url: str = request.getfixturevalue("postgresql_url")
    return postgresql_url


@pytest.fixture
def contexts(url: str) -> Iterator[list[ServiceContext]]:
    """Return the contexts of two coordinators, each with connections of its own."""
    databases = [Database.connect(url) for _ in range(COORDINATORS)]
    try:
        yield [
            ServiceContext(database=database, dispatcher=FakeDispatcher(), lease_s=10.0)
            for database in databases
        ]
    finally:
        for database in databases:
            database.close()


def test_all_schedules_of_a_minute_are_fired_once(contexts: list[ServiceContext]) -> None:
    database = contexts[0].database
    number = NUMBERS[database.engine.dialect.name]
    definition = job_definition(schedule=Schedule(cron="0 0 1 1 *"))
    with database.transaction() as tx:
        schedule_checks.record(tx)
        tx.execute(update(tables.schedule_checks).values(down_until=0.0))
        now = database.now(tx)
        for index in range(number):
            new = scheduled_job.new(definition, now=now, id_=f"{index:032}")
            scheduled_jobs.add(tx, replace(new, next_at=now - 60.0 + index % 60))

    threads = [threading.Thread(target=schedule_firing.fire_due, args=(context,)) for context in contexts]
    with capture_logs() as logged:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert {entry["event"] for entry in logged} == {"schedule.fired"}
    with database.reading() as tx:
        summaries = tx.scalars(select(tables.jobs.c.summary))
        firings = Counter(summary["schedule"]["id"] for summary in summaries)
    assert firings == {f"{index:032}": 1 for index in range(number)}
