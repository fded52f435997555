"""Datastores for tests, and ways to look into them."""

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
from tork_celery.domain.errors import DatastoreUnavailable
from tork_celery.domain.logs import LogPart
from tork_celery.domain.model import Job, Task
from tork_celery.store import Database, jobs, logs, tasks
from tork_celery.store.migration import migrate
from tork_celery.store.tables import job_count_changes, metadata
from tork_celery.store.tables import jobs as job_table
from tork_celery.store.tables import tasks as task_table


class CuttableDatabase(Database):
    """A datastore that does not answer while it is `away`, or for its next `outages` transactions; `refusals`
    counts those that it has not answered."""

    away = False
    outages = 0
    refusals = 0

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        self._answer()
        with super().transaction() as tx:
            yield tx

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        self._answer()
        with super().reading() as tx:
            yield tx

    def _answer(self) -> None:
        if not self.away and not self.outages:
            return
        self.outages = max(0, self.outages - 1)
        self.refusals += 1
        raise DatastoreUnavailable("the datastore is away")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[CuttableDatabase]:
    """A migrated datastore without a row in it."""
    with connected(sqlite_url(tmp_path)) as found:
        yield found


@contextmanager
def connected(url: str) -> Iterator[CuttableDatabase]:
    with closing(CuttableDatabase.connect(url)) as found:
        assert isinstance(found, CuttableDatabase)
        yield found


def sqlite_url(directory: Path) -> str:
    """The URL of a migrated file in the directory."""
    (directory / "tork.db").write_bytes(_migrated_file())
    return f"sqlite:///{directory}/tork.db"


@functools.cache
def _migrated_file() -> bytes:
    """What SQLite makes of the migrations: they take longer than most tests."""
    with TemporaryDirectory() as directory:
        with closing(Database.connect(f"sqlite:///{directory}/tork.db")) as database:
            migrate(database)
        return (Path(directory) / "tork.db").read_bytes()


def delete_all(tx: Connection) -> None:
    """Every row, those last that triggers write when others go."""
    for table in (*reversed(metadata.sorted_tables), job_count_changes):
        tx.execute(table.delete())


def store_job(database: Database, *definitions: TaskDefinition, name: str = "a job") -> tuple[Job, Task]:
    """Store a new job with its first task."""
    with database.transaction() as tx:
        plan = submission(*definitions, now=database.now(tx), name=name)
        jobs.add(tx, plan.job)
        tasks.add(tx, plan.added)
    return plan.job, plan.added[0]


def store_task(database: Database, definition: TaskDefinition | None = None, **values: Any) -> Task:
    """Store a job with a first task that is as `values` say."""
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
        found = tasks.get(tx, task_id)
    assert found is not None
    return found


def job_now(database: Database, job_id: str) -> Job:
    with database.reading() as tx:
        found = jobs.get(tx, job_id)
    assert found is not None
    return found


def tasks_of(database: Database, job_id: str) -> list[Task]:
    with database.reading() as tx:
        return tasks.of_job(tx, job_id)


def log_of(database: Database, task_id: str) -> list[LogPart]:
    """The log of a task, its first part first."""
    with database.reading() as tx:
        parts, _ = logs.page_of_task(tx, task_id, number=1, size=10_000)
    return parts[::-1]


def text_of(database: Database, task_id: str) -> str:
    return "".join(part.contents for part in log_of(database, task_id))


def seconds_now(database: Database) -> float:
    with database.reading() as tx:
        return database.now(tx)
