"""All of a transaction counts or none; a datastore that does not answer is said to be unavailable."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from tests.domain.samples import submission
from tests.store.stores import job_now, store_job
from tork_celery.domain.errors import ConfigurationError, DatastoreUnavailable
from tork_celery.store import Database, job_pages, jobs, nodes, tasks
from tork_celery.store.migration import migrate


def count(database: Database) -> int:
    with database.reading() as tx:
        return job_pages.page(tx, number=1, size=1)[1]


def test_an_exception_rolls_everything_back(database: Database) -> None:
    plan = submission()

    with pytest.raises(RuntimeError, match="a bug"), database.transaction() as tx:  # noqa: PT012
        jobs.add(tx, plan.job)
        tasks.add(tx, plan.added)
        raise RuntimeError("a bug")

    assert count(database) == 0


def test_a_broken_rule_of_the_schema_is_a_bug_and_changes_nothing(database: Database) -> None:
    plan = submission()

    with pytest.raises(IntegrityError), database.transaction() as tx:  # noqa: PT012
        jobs.add(tx, plan.job)
        jobs.add(tx, plan.job)

    assert count(database) == 0


def test_a_task_needs_its_job(database: Database) -> None:
    with pytest.raises(IntegrityError), database.transaction() as tx:
        tasks.add(tx, submission().added)


def test_a_reading_transaction_does_not_block_a_writer(database: Database) -> None:
    job, _ = store_job(database)

    with database.reading() as reading:
        before = jobs.get(reading, job.id)
        with database.transaction() as tx:
            jobs.start(tx, job.id)
        assert before == job

    assert job_now(database, job.id) != job


def test_writers_wait_for_one_another(database: Database) -> None:
    job, _ = store_job(database)
    together = threading.Barrier(4)
    faults: list[Exception] = []

    def write() -> None:
        together.wait()
        try:
            for _ in range(5):
                with database.transaction() as tx:
                    assert jobs.get(tx, job.id) is not None  # a read first, then a write
                    jobs.start(tx, job.id)
        except DatastoreUnavailable as error:
            faults.append(error)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a" / "tork.db"


@pytest.fixture
def of_a_file(file: Path) -> Iterator[Database]:
    with closing(Database.connect(f"sqlite:///{file}")) as database:
        yield database


def test_a_datastore_that_is_not_there_is_unavailable(of_a_file: Database) -> None:
    with pytest.raises(DatastoreUnavailable, match="unable to open"), of_a_file.reading() as tx:
        of_a_file.now(tx)


def test_it_is_available_once_it_is_there(of_a_file: Database, file: Path) -> None:
    with pytest.raises(DatastoreUnavailable), of_a_file.transaction():
        pass
    file.parent.mkdir()

    migrate(of_a_file)

    assert count(of_a_file) == 0


def test_a_datastore_that_stays_locked_is_unavailable(of_a_file: Database, file: Path) -> None:
    file.parent.mkdir()
    migrate(of_a_file)
    with of_a_file.engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("PRAGMA busy_timeout = 1")  # instead of 5 s
        connection.exec_driver_sql("BEGIN")

    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatastoreUnavailable, match="locked"), of_a_file.transaction() as tx:
            nodes.cluster_id(tx)
        other.execute("ROLLBACK")

    with of_a_file.transaction() as tx:
        nodes.cluster_id(tx)


@pytest.mark.parametrize(("full_sync", "level"), [(False, 1), (True, 2)])
def test_how_sqlite_is_opened(tmp_path: Path, *, full_sync: bool, level: int) -> None:
    url = f"sqlite:///{tmp_path}/tork.db"
    with closing(Database.connect(url, full_sync=full_sync)) as database, database.reading() as tx:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        found = [tx.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]

    assert found == ["wal", level, 1, 5000]


def test_a_bare_url_of_postgresql_means_psycopg() -> None:
    with closing(Database.connect("postgresql://u:p@127.0.0.1:1/d")) as database:
        assert database.engine.driver == "psycopg"
        with pytest.raises(DatastoreUnavailable), database.transaction():
            pass


@pytest.mark.parametrize(
    "url",
    [
        "",
        "tork.db",
        "mysql://u:hidden@h/n",
        "postgresql+asyncpg://u:hidden@h/n",
        "postgresql://u:hidden@h:x/n",
    ],
)
def test_a_url_of_neither_datastore_is_refused_with_what_would_be_right(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"TORK_DATASTORE_URL.*write it like sqlite:////") as refusal:
        Database.connect(url)
    assert "hidden" not in str(refusal.value)
