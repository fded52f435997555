"""Datastores for tests, and helpers that store and read rows."""

import functools
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import Connection, update

from tests.domain.samples import submission
from tork_celery.domain.definition import TaskDefinition
from tork_celery.domain.errors import DatastoreFull, DatastoreUnavailable
from tork_celery.domain.logs import LogPart, LogSource
from tork_celery.domain.model import Job, Task
from tork_celery.store import Database, jobs, logs, tasks
from tork_celery.store.job_results import StoredResults
from tork_celery.store.migration import migrate
from tork_celery.store.tables import changes, job_count_changes, metadata
from tork_celery.store.tables import jobs as job_table
from tork_celery.store.tables import tasks as task_table

FULL = "the disk of the datastore is full"


class FlakyDatabase(Database):
    """Datastore that raises DatastoreUnavailable on demand.

    Transactions fail while it is `down`, and the next `failures_left` transactions fail. `failures` counts
    the failed transactions. It has no room for more rows while it is `full`.
    """

    down = False
    full = False
    failures_left = 0
    failures = 0

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        self._fail_on_demand()
        with super().transaction() as tx:
            yield tx

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        self._fail_on_demand()
        with super().reading() as tx:
            yield tx

    def require_room(self) -> None:
        if self.full:
            raise DatastoreFull(FULL)

    def _fail_on_demand(self) -> None:
        if not self.down and not self.failures_left:
            return
        self.failures_left = max(0, self.failures_left - 1)
        self.failures += 1
        raise DatastoreUnavailable("the datastore is away")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[FlakyDatabase]:
    """Open an empty, migrated SQLite datastore."""
    with open_database(sqlite_url(tmp_path)) as opened:
        yield opened


@contextmanager
def open_database(url: str) -> Iterator[FlakyDatabase]:
    with closing(FlakyDatabase.connect(url)) as opened:
        assert isinstance(opened, FlakyDatabase)
        yield opened


def sqlite_url(directory: Path) -> str:
    """Create a migrated SQLite file in the directory and return its URL."""
    (directory / "tork.db").write_bytes(_migrated_file())
    return f"sqlite:///{directory}/tork.db"


@functools.cache
def _migrated_file() -> bytes:
    """Return the contents of a migrated SQLite file, cached because the migrations are slow."""
    with TemporaryDirectory() as directory:
        with closing(Database.connect(f"sqlite:///{directory}/tork.db")) as database:
            migrate(database)
        return (Path(directory) / "tork.db").read_bytes()


def delete_all(tx: Connection) -> None:
    """Delete all rows. Rows that triggers write on deletions are deleted last."""
    for table in (*reversed(metadata.sorted_tables), job_count_changes, changes):
        tx.execute(table.delete())


def store_job(database: Database, *definitions: TaskDefinition, name: str = "a job") -> tuple[Job, Task]:
    """Store a new job with its first task."""
    with database.transaction() as tx:
        plan = submission(*definitions, now=database.now(tx), name=name)
        jobs.add(tx, [plan.job])
        tasks.add(tx, plan.added)
    return plan.job, plan.added[0]


def store_task(database: Database, definition: TaskDefinition | None = None, **values: Any) -> Task:
    """Store a new job whose first task has these values."""
    _, task = store_job(database, *([definition] if definition else []))
    return change(database, task, **values)


def change(database: Database, task: Task, **values: Any) -> Task:
    """Store the task with other values, without a check of the state transition."""
    changed = replace(task, **values)
    row = {column.key: getattr(changed, column.key) for column in task_table.c}
    with database.transaction() as tx:
        tx.execute(update(task_table).where(task_table.c.id == task.id), row)
    return changed


def change_job(database: Database, job: Job, **values: Any) -> Job:
    """Store the job with other values, without a check of the state transition."""
    with database.transaction() as tx:
        tx.execute(update(job_table).where(job_table.c.id == job.id), values)
    return replace(job, **values)


def task_now(database: Database, task_id: str) -> Task:
    with database.reading() as tx:
        task = tasks.get(tx, task_id)
    assert task is not None
    return task


def job_now(database: Database, job_id: str) -> Job:
    with database.reading() as tx:
        job = jobs.get(tx, job_id)
    assert job is not None
    return job


def results_of(database: Database, job_id: str) -> dict[str, str]:
    with database.reading() as tx:
        return dict(StoredResults(tx, job_id).items())


def tasks_of(database: Database, job_id: str) -> list[Task]:
    with database.reading() as tx:
        return tasks.of_job(tx, job_id)


def log_of(database: Database, task_id: str) -> list[LogPart]:
    """Return the log of a task, oldest part first."""
    with database.reading() as tx:
        parts, _ = logs.page_of_task(tx, task_id, number=1, size=10_000)
    return parts[::-1]


def text_of(database: Database, task_id: str) -> str:
    return "".join(part.contents for part in log_of(database, task_id))


def output_of(database: Database, task_id: str) -> str:
    """Return what the containers of a task printed."""
    return _text_from(database, task_id, LogSource.CONTAINER)


def system_lines(database: Database, task_id: str) -> list[str]:
    """Return what the system says of a task."""
    return _text_from(database, task_id, LogSource.SYSTEM).splitlines()


def _text_from(database: Database, task_id: str, source: LogSource) -> str:
    return "".join(part.contents for part in log_of(database, task_id) if part.source is source)


def seconds_now(database: Database) -> float:
    with database.reading() as tx:
        return database.now(tx)
