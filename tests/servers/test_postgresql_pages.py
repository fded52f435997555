"""Lists of jobs on PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from sqlalchemy import select

from tests.store.paging_contract import add, counted, fill, kept, move
from tests.store.plans import plan_of
from tork_celery.domain.states import JobState
from tork_celery.store import Database, job_counts, job_pages
from tork_celery.store.tables import job_texts

pytestmark = pytest.mark.servers


@pytest.fixture
def database(postgresql_url: str) -> Iterator[Database]:
    with closing(Database.connect(postgresql_url)) as found:
        yield found


class TestPagesOnPostgresql:
    def test_counts_are_exact_after_many_writers_and_folds_at_once(self, database: Database) -> None:
        def write(_: int) -> None:
            for _ in range(20):
                move(database, add(database, tags=("a", "b")), JobState.FAILED)
                with database.transaction() as tx:
                    job_counts.fold(tx, limit=7)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(write, range(6)))

        expected = counted(database)
        assert expected == {"": 120, "status:FAILED": 120, "tag:a": 120, "tag:b": 120}
        assert kept(database, expected) == expected

    def test_words_are_found_in_an_index(self, database: Database) -> None:
        """Where there are few jobs, the whole query rather walks them."""
        fill(database, jobs_in_all=1000)
        with database.reading() as tx:
            plan = plan_of(tx, select(job_texts.c.rowid).where(job_pages.has_words(tx, ["234"])))

        assert "Bitmap Index Scan on ix_job_texts_text" in plan

    def test_nobody_waits_for_another_transaction_that_counts(self, database: Database) -> None:
        with database.transaction() as tx:
            tx.exec_driver_sql("LOCK TABLE job_counts IN ROW EXCLUSIVE MODE")
            tx.exec_driver_sql("UPDATE job_counts SET number = number")
            add(database, tags=("a",))
