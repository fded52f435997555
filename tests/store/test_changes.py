"""The record of changes: what is recorded, and that each change is read once."""

import pytest
from sqlalchemy import insert, select, text

from tests.store.stores import FlakyDatabase, change, change_job, store_job
from tork_celery.domain.logs import LogPart, LogPosition
from tork_celery.domain.states import JobState, TaskState
from tork_celery.store import changes, jobs, leases, logs, tasks
from tork_celery.store.changes import ChangeReader
from tork_celery.store.tables import changes as table


def read(database: FlakyDatabase, reader: ChangeReader) -> list[changes.Change]:
    with database.reading() as tx:
        found = reader.read(tx)
    assert found is not None
    reader.advance(found)
    return list(found)


@pytest.fixture
def reader(database: FlakyDatabase) -> ChangeReader:
    reader = ChangeReader()
    read(database, reader)
    return reader


def test_changes_of_jobs_tasks_and_logs_are_recorded(database: FlakyDatabase, reader: ChangeReader) -> None:
    job, task = store_job(database)
    change_job(database, job, state=JobState.RUNNING)
    change(database, task, state=TaskState.RUNNING)
    part = LogPart(task_id=task.id, step=0, contents="a\n", position=LogPosition())
    with database.transaction() as tx:
        logs.add(tx, job_id=job.id, ref=task.ref, parts=[part])
    with database.transaction() as tx:
        jobs.remove(tx, job.id)

    assert [(each.kind, each.job_id, each.task_id) for each in read(database, reader)] == [
        ("job", job.id, None),
        ("task", job.id, task.id),
        ("job", job.id, None),
        ("task", job.id, task.id),
        ("log", job.id, task.id),
        ("job", job.id, None),
    ]


def test_renewed_leases_and_messages_are_no_changes(database: FlakyDatabase, reader: ChangeReader) -> None:
    _, task = store_job(database)
    change(database, task, state=TaskState.RUNNING, node="n", step_running=True)
    read(database, reader)

    with database.transaction() as tx:
        leases.renew(tx, node="n", running=[task.id], lease_s=10.0, progress={}, reports={})
        tasks.mark_sent(tx, [task.id])

    assert read(database, reader) == []


def test_progress_is_a_change(database: FlakyDatabase, reader: ChangeReader) -> None:
    _, task = store_job(database)
    change(database, task, state=TaskState.RUNNING, node="n", step_running=True)
    read(database, reader)

    with database.transaction() as tx:
        leases.renew(tx, node="n", running=[task.id], lease_s=10.0, progress={task.id: 50.0}, reports={})

    assert [each.task_id for each in read(database, reader)] == [task.id]


def record(database: FlakyDatabase, *seqs: int, age_s: float = 0.0) -> None:
    with database.transaction() as tx:
        at = database.now(tx) - age_s
        rows = [{"seq": seq, "kind": "job", "job_id": str(seq), "changed_at": at} for seq in seqs]
        tx.execute(insert(table), rows)


def test_changes_that_become_visible_out_of_order_are_read_once(database: FlakyDatabase) -> None:
    reader = ChangeReader()
    record(database, 1, 3, 6)
    assert [each.seq for each in read(database, reader)] == [1, 3, 6]
    assert reader.position == 1

    record(database, 2, 7)
    assert [each.seq for each in read(database, reader)] == [2, 7]
    assert reader.position == 3

    record(database, 4, 5)
    assert [each.seq for each in read(database, reader)] == [4, 5]
    assert reader.position == 7
    assert read(database, reader) == []


def test_number_that_is_missing_for_long_is_given_up(database: FlakyDatabase) -> None:
    now = 0.0
    reader = ChangeReader(clock=lambda: now)
    record(database, 1, 3)
    read(database, reader)

    now = changes.COMMIT_TIME_S + 1
    read(database, reader)

    assert reader.position == 3


def test_changes_that_are_not_advanced_are_read_again(database: FlakyDatabase) -> None:
    reader = ChangeReader()
    record(database, 1, 2)

    with database.reading() as tx:
        first = reader.read(tx)

    assert read(database, reader) == first


def test_reader_says_when_changes_were_lost(database: FlakyDatabase) -> None:
    now = 0.0
    reader = ChangeReader(clock=lambda: now)
    record(database, 1)
    read(database, reader)
    record(database, 2, 3, age_s=2 * changes.KEEP_S)
    record(database, 4)
    with database.transaction() as tx:
        tx.execute(text("UPDATE changes SET changed_at = 0 WHERE seq < 4"))
        changes.remove_old(tx)

    now = changes.KEEP_S
    with database.reading() as tx:
        assert reader.read(tx) is None


def test_old_changes_are_removed_except_the_newest(database: FlakyDatabase) -> None:
    record(database, 1, 2, 3, age_s=2 * changes.KEEP_S)

    with database.transaction() as tx:
        assert changes.oldest_is_older(tx, changes.KEEP_S)
        changes.remove_old(tx)
        left = list(tx.scalars(select(table.c.seq)))

    assert left == [3]
    with database.reading() as tx:
        assert not changes.is_kept(tx, 1)
        assert changes.is_kept(tx, 2)
        assert changes.is_kept(tx, 3)
        assert not changes.is_kept(tx, 4)


def test_position_is_before_what_may_still_become_visible(database: FlakyDatabase) -> None:
    record(database, 1, 2, age_s=2 * changes.COMMIT_TIME_S)
    record(database, 4)

    with database.reading() as tx:
        assert changes.position(tx) == 2
