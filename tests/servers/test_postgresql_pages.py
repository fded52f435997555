"""Job counts and word search on PostgreSQL: concurrency and indexes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from sqlalchemy import select

from tests.store.job_lists import add_job, add_many_jobs, count_rows, stored_counts
from tests.store.query_plans import explain
from tests.store.stores import change_job
from tork_celery.domain.states import JobState
from tork_celery.store import Database, job_counts, job_pages
from tork_celery.store.tables import job_texts

pytestmark = pytest.mark.servers


@pytest.fixture
def database(postgresql_url: str) -> Iterator[Database]:
    with closing(Database.connect(postgresql_url)) as opened:
        yield opened


def test_counts_are_exact_after_concurrent_writes_and_folds(database: Database) -> None:
    def write(_: int) -> None:
        for _ in range(20):
            change_job(database, add_job(database, tags=("a", "b")), state=JobState.FAILED)
            with database.transaction() as tx:
                job_counts.fold(tx, limit=7)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(6)))

    expected = count_rows(database)
    assert expected == {"": 120, "status:FAILED": 120, "tag:a": 120, "tag:b": 120}
    assert stored_counts(database, expected) == expected


def test_word_search_uses_an_index(database: Database) -> None:
    """Only the condition is explained: in a small table the whole query scans the jobs."""
    add_many_jobs(database, 1000)
    with database.reading() as tx:
        plan = explain(tx, select(job_texts.c.rowid).where(job_pages.has_words(tx, ["234"])))

    assert "Bitmap Index Scan on ix_job_texts_text" in plan


def test_writer_does_not_wait_for_locked_counts(database: Database) -> None:
    with database.transaction() as tx:
        tx.exec_driver_sql("LOCK TABLE job_counts IN ROW EXCLUSIVE MODE")
        tx.exec_driver_sql("UPDATE job_counts SET number = number")
        add_job(database, tags=("a",))
