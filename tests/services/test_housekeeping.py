"""Ended jobs go when their time has come, and only then."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update

from tests.store.job_lists import count_rows, stored_counts
from tests.store.stores import FlakyDatabase, seconds_now, store_job, store_task, tasks_of
from tork_celery.domain.model import Job
from tork_celery.domain.states import JobState, TaskState
from tork_celery.services import housekeeping
from tork_celery.services.context import ServiceContext
from tork_celery.services.recovery_sweep import RecoverySweep
from tork_celery.store import jobs
from tork_celery.store.tables import jobs as table

AGO_S = 100.0


def ended(database: FlakyDatabase, *, state: JobState = JobState.FAILED, **values: Any) -> Job:
    """A job that ended a while ago."""
    job, _ = store_job(database)
    long_ago = seconds_now(database) - AGO_S
    with database.transaction() as tx:
        tx.execute(update(table).where(table.c.id == job.id).values(parent_id=values.get("parent_id")))
        jobs.save(tx, replace(job, state=state, ended_at=long_ago, **values))
    return job


def is_there(database: FlakyDatabase, job: Job) -> bool:
    with database.reading() as tx:
        return jobs.get(tx, job.id) is not None


@pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED])
def test_a_job_goes_at_its_time(context: ServiceContext, database: FlakyDatabase, state: JobState) -> None:
    now = seconds_now(database)
    due, later = (ended(database, state=state, delete_at=now + offset) for offset in (-1.0, 3600.0))

    RecoverySweep(context).sweep()

    assert not is_there(database, due)
    assert tasks_of(database, due.id) == []
    assert is_there(database, later)


def test_other_jobs_are_kept_for_as_long_as_is_set(context: ServiceContext, database: FlakyDatabase) -> None:
    job, timed = ended(database), ended(database, delete_at=seconds_now(database) + 3600.0)

    for keep_s, there in ((None, True), (2 * AGO_S, True), (AGO_S / 2, False)):
        housekeeping.tidy(replace(context, keep_jobs_s=keep_s))
        assert is_there(database, job) is there
        assert is_there(database, timed)


def test_a_job_that_has_not_ended_stays(context: ServiceContext, database: FlakyDatabase) -> None:
    job = ended(database, state=JobState.RUNNING, delete_at=1.0)

    housekeeping.tidy(replace(context, keep_jobs_s=1.0))

    assert is_there(database, job)


def test_a_subjob_stays_until_its_parent_has_moved_on(
    context: ServiceContext, database: FlakyDatabase
) -> None:
    waiting = store_task(database, state=TaskState.RUNNING)
    done = store_task(database, state=TaskState.COMPLETED)
    awaited = ended(database, delete_at=1.0, parent_id=waiting.id)
    over = ended(database, delete_at=1.0, parent_id=done.id)

    housekeeping.tidy(context)

    assert is_there(database, awaited)
    assert not is_there(database, over)


def test_many_jobs_go_in_one_sweep(
    context: ServiceContext, database: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "_BATCH", 2)
    made = [ended(database, delete_at=1.0) for _ in range(7)]

    housekeeping.tidy(context)

    assert not any(is_there(database, job) for job in made)
    expected = count_rows(database)
    assert stored_counts(database, expected) == expected == {"": 0}
