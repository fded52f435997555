"""Ended jobs are removed when they are due."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select, update

from tests.services.samples import each_job
from tests.store.job_lists import count_rows, stored_counts
from tests.store.stores import FlakyDatabase, seconds_now, store_job, store_task, tasks_of, text_of
from tork_celery.domain.errors import NotFound
from tork_celery.domain.logs import LogPart, LogPosition
from tork_celery.domain.model import Job, Task
from tork_celery.domain.search import EVERYTHING
from tork_celery.domain.states import JobState, TaskState
from tork_celery.services import housekeeping, job_control, queries
from tork_celery.services.context import ServiceContext
from tork_celery.services.recovery_sweep import RecoverySweep
from tork_celery.services.submit import submit
from tork_celery.store import jobs, logs, retention
from tork_celery.store.tables import jobs as table
from tork_celery.store.tables import tasks as task_table

AGO_S = 100.0


def store_ended_job(database: FlakyDatabase, *, state: JobState = JobState.FAILED, **values: Any) -> Job:
    """Store a job that ended AGO_S seconds ago."""
    job, _ = store_job(database)
    long_ago = seconds_now(database) - AGO_S
    with database.transaction() as tx:
        tx.execute(update(table).where(table.c.id == job.id).values(parent_id=values.get("parent_id")))
        jobs.save(tx, replace(job, state=state, ended_at=long_ago, **values))
    return job


def exists(database: FlakyDatabase, job: Job) -> bool:
    with database.reading() as tx:
        return jobs.get(tx, job.id) is not None


@pytest.mark.parametrize("state", [JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED])
def test_job_is_removed_at_its_time(
    context: ServiceContext, database: FlakyDatabase, state: JobState
) -> None:
    now = seconds_now(database)
    due, later = (store_ended_job(database, state=state, delete_at=now + offset) for offset in (-1.0, 3600.0))

    RecoverySweep(context).sweep()

    assert not exists(database, due)
    assert tasks_of(database, due.id) == []
    assert exists(database, later)


def test_other_jobs_are_removed_after_the_retention_period(
    context: ServiceContext, database: FlakyDatabase
) -> None:
    job, timed = (
        store_ended_job(database),
        store_ended_job(database, delete_at=seconds_now(database) + 3600.0),
    )

    for keep_s, kept_job in ((None, True), (2 * AGO_S, True), (AGO_S / 2, False)):
        housekeeping.run(replace(context, keep_jobs_s=keep_s))
        assert exists(database, job) is kept_job
        assert exists(database, timed)


def test_active_job_is_kept(context: ServiceContext, database: FlakyDatabase) -> None:
    job = store_ended_job(database, state=JobState.RUNNING, delete_at=1.0)

    housekeeping.run(replace(context, keep_jobs_s=1.0))

    assert exists(database, job)


def test_subjob_is_kept_until_its_parent_has_advanced(
    context: ServiceContext, database: FlakyDatabase
) -> None:
    waiting_parent = store_task(database, state=TaskState.RUNNING)
    advanced_parent = store_task(database, state=TaskState.COMPLETED)
    kept = store_ended_job(database, delete_at=1.0, parent_id=waiting_parent.id)
    removed = store_ended_job(database, delete_at=1.0, parent_id=advanced_parent.id)

    housekeeping.run(context)

    assert exists(database, kept)
    assert not exists(database, removed)


def test_one_run_removes_several_batches(
    context: ServiceContext, database: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "_BATCH", 2)
    due = [store_ended_job(database, delete_at=1.0) for _ in range(7)]

    housekeeping.run(context)

    assert not any(exists(database, job) for job in due)
    expected = count_rows(database)
    assert stored_counts(database, expected) == expected == {"": 0}


LARGE = 7
"""Tasks of a large job; a transaction deletes three."""


@pytest.fixture
def large_job(context: ServiceContext, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A cancelled job whose rows go in several transactions."""
    monkeypatch.setattr(retention, "MAX_ROWS", 3)
    job, _ = submit(context, each_job(f"sequence(1, {LARGE})"))
    job_control.cancel(context, job.id)
    return job


def rows_of(database: FlakyDatabase, job: Job) -> int:
    with database.reading() as tx:
        return tx.scalar(select(func.count()).where(task_table.c.job_id == job.id)) or 0


def test_large_job_is_deleted_in_batches(
    context: ServiceContext, database: FlakyDatabase, large_job: Job
) -> None:
    job_control.delete(context, large_job.id)
    assert rows_of(database, large_job) == LARGE - 3

    with database.transaction() as tx:
        assert retention.remove_due(tx, keep_s=None, limit=10) == retention.Removal(jobs=0, more=True)
    assert rows_of(database, large_job) == LARGE - 6

    housekeeping.run(context)
    assert rows_of(database, large_job) == 0
    expected = count_rows(database)
    assert stored_counts(database, expected) == expected == {"": 0}


def test_job_whose_deletion_has_begun_is_not_found(context: ServiceContext, large_job: Job) -> None:
    other, _ = submit(context, each_job("[1]"))
    job_control.delete(context, large_job.id)

    for act in (job_control.cancel, job_control.restart, job_control.delete, queries.job):
        with pytest.raises(NotFound, match=large_job.id):
            act(context, large_job.id)
    page = queries.job_page(context, EVERYTHING, number=1, size=10)
    assert [job.id for job in page.items] == [other.id]


def test_large_job_that_is_due_cannot_be_restarted_once_its_deletion_has_begun(
    context: ServiceContext, database: FlakyDatabase, large_job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "_BATCHES_PER_RUN", 1)

    housekeeping.run(replace(context, keep_jobs_s=0.0))

    assert 0 < rows_of(database, large_job) < LARGE
    with pytest.raises(NotFound):
        job_control.restart(context, large_job.id)


@pytest.mark.parametrize(("keep_s", "kept"), [(None, "old\nnew\n"), (50.0, "new\n"), (150.0, "old\nnew\n")])
def test_logs_are_removed_before_their_job(
    context: ServiceContext, database: FlakyDatabase, keep_s: float | None, kept: str
) -> None:
    task = store_task(database)
    add_output(database, task, "old\n", age_s=AGO_S)
    add_output(database, task, "new\n")

    housekeeping.run(replace(context, keep_logs_s=keep_s))

    assert text_of(database, task.id) == kept


def test_long_logs_are_removed_in_several_transactions(
    context: ServiceContext, database: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "MAX_ROWS", 2)
    task = store_task(database)
    for _ in range(5):
        add_output(database, task, "old\n", age_s=AGO_S)

    housekeeping.run(replace(context, keep_logs_s=50.0))

    assert text_of(database, task.id) == ""


def add_output(database: FlakyDatabase, task: Task, text: str, *, age_s: float = 0.0) -> None:
    part = LogPart(task_id=task.id, step=0, contents=text, position=LogPosition(), age_s=age_s)
    with database.transaction() as tx:
        logs.add(tx, job_id=task.job_id, ref=task.ref, parts=[part])
