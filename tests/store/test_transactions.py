"""Transactions are atomic, and a datastore that does not answer raises DatastoreUnavailable."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from tests.domain.samples import submission
from tests.eventually import eventually
from tests.store.stores import job_now, store_job
from tork_celery.domain.errors import ConfigurationError, DatastoreUnavailable
from tork_celery.store import Database, job_pages, jobs, nodes, tasks
from tork_celery.store.database import datastore_now
from tork_celery.store.migration import migrate


def count(database: Database) -> int:
    with database.reading() as tx:
        return job_pages.page(tx, number=1, size=1)[1]


def test_exception_rolls_back_the_transaction(database: Database) -> None:
    plan = submission()

    with pytest.raises(RuntimeError, match="a bug"), database.transaction() as tx:  # noqa: PT012
        jobs.add(tx, [plan.job])
        tasks.add(tx, plan.added)
        raise RuntimeError("a bug")

    assert count(database) == 0


def test_constraint_violation_rolls_back_the_transaction(database: Database) -> None:
    plan = submission()

    with pytest.raises(IntegrityError), database.transaction() as tx:  # noqa: PT012
        jobs.add(tx, [plan.job])
        jobs.add(tx, [plan.job])

    assert count(database) == 0


def test_task_without_job_is_rejected(database: Database) -> None:
    with pytest.raises(IntegrityError), database.transaction() as tx:
        tasks.add(tx, submission().added)


def test_reader_does_not_block_a_writer(database: Database) -> None:
    job, _ = store_job(database)

    with database.reading() as reading:
        before = jobs.get(reading, job.id)
        with database.transaction() as tx:
            jobs.start(tx, job.id)
        assert before == job

    assert job_now(database, job.id) != job


def test_writers_wait_for_each_other(database: Database) -> None:
    job, _ = store_job(database)
    barrier = threading.Barrier(4)
    errors: list[Exception] = []

    def write() -> None:
        barrier.wait()
        try:
            for _ in range(5):
                with database.transaction() as tx:
                    assert jobs.get(tx, job.id) is not None  # a read before the write
                    jobs.start(tx, job.id)
        except DatastoreUnavailable as error:
            errors.append(error)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a" / "tork.db"


@pytest.fixture
def file_database(file: Path) -> Iterator[Database]:
    with closing(Database.connect(f"sqlite:///{file}")) as database:
        yield database


def test_waiting_writers_on_sqlite_hold_no_connection(file_database: Database, file: Path) -> None:
    file.parent.mkdir()
    began = threading.Event()

    def write() -> None:
        with file_database.transaction():
            began.set()

    thread = threading.Thread(target=write)
    writers = file_database._writers
    assert writers is not None
    with file_database.transaction():
        thread.start()
        eventually(lambda: writers._waiting)
        connections = file_database.engine.pool.checkedout()  # type: ignore[attr-defined]
    thread.join()

    assert began.is_set()
    assert connections == 1


def test_clock_of_sqlite_is_that_of_its_statements(file_database: Database, file: Path) -> None:
    file.parent.mkdir()
    with file_database.reading() as tx:
        before = file_database.current_time()
        stored = float(tx.scalar(select(datastore_now())) or 0.0)
        after = file_database.now(tx)

    assert before <= stored <= after


def test_missing_datastore_is_unavailable(file_database: Database) -> None:
    with pytest.raises(DatastoreUnavailable, match="unable to open"), file_database.reading() as tx:
        file_database.now(tx)


def test_datastore_is_available_after_it_was_created(file_database: Database, file: Path) -> None:
    with pytest.raises(DatastoreUnavailable), file_database.transaction():
        pass
    file.parent.mkdir()

    migrate(file_database)

    assert count(file_database) == 0


def test_locked_datastore_is_unavailable(file_database: Database, file: Path) -> None:
    file.parent.mkdir()
    migrate(file_database)
    with file_database.engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("PRAGMA busy_timeout = 1")  # instead of 5 s
        connection.exec_driver_sql("BEGIN")

    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatastoreUnavailable, match="locked"), file_database.transaction() as tx:
            nodes.cluster_id(tx)
        other.execute("ROLLBACK")

    with file_database.transaction() as tx:
        nodes.cluster_id(tx)


@pytest.mark.parametrize(("full_sync", "level"), [(False, 1), (True, 2)])
def test_sqlite_pragmas_are_set(tmp_path: Path, *, full_sync: bool, level: int) -> None:
    url = f"sqlite:///{tmp_path}/tork.db"
    with closing(Database.connect(url, full_sync=full_sync)) as database, database.reading() as tx:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        values = [tx.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]

    assert values == ["wal", level, 1, 5000]


def test_postgresql_url_uses_psycopg() -> None:
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
def test_other_url_is_rejected_with_an_example(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"TORK_DATASTORE_URL.*write it like sqlite:////") as error:
        Database.connect(url)
    assert "hidden" not in str(error.value)


def test_files_of_sqlite_are_private(tmp_path: Path) -> None:
    umask = os.umask(0o022)
    try:
        with closing(Database.connect(f"sqlite:///{tmp_path}/tork.db")) as database:
            migrate(database)
            modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    finally:
        os.umask(umask)

    names = {"tork.db", "tork.db-wal", "tork.db-shm", "tork.db-turn"}
    assert modes == dict.fromkeys(names, 0o600)
