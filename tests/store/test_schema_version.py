"""Migrations create the tables as they are defined, and processes check the schema's revision."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from tork_celery.domain.errors import ConfigurationError
from tork_celery.store import Database, migration, schema_version
from tork_celery.store.migration import migrate
from tork_celery.store.tables import metadata

MIGRATE = """
import sys
from tork_celery.store import Database
from tork_celery.store.migration import migrate
database = Database.connect(sys.argv[1])
sys.stdin.readline()
migrate(database)
database.close()
"""


@pytest.fixture
def unmigrated(tmp_path: Path) -> Iterator[Database]:
    with closing(Database.connect(f"sqlite:///{tmp_path}/new.db")) as database:
        yield database


def test_migrations_match_the_table_definitions(database: Database) -> None:
    def is_table(thing: Any, name: str | None, kind: str, *_: Any) -> bool:
        job_texts = kind == "table" and str(name).startswith("job_texts")  # not in the metadata
        return not job_texts and thing is not None

    options = {"include_object": is_table}
    with database.transaction() as tx:
        assert compare_metadata(MigrationContext.configure(tx, opts=options), metadata) == []


def test_there_is_one_migration_head(database: Database) -> None:
    [head] = ScriptDirectory.from_config(migration.alembic_config()).get_heads()

    with database.reading() as tx:
        assert schema_version.revision(tx) == head == schema_version.NEEDED


def test_index_of_active_tasks_is_partial(database: Database) -> None:
    """Alembic does not compare the conditions of indexes."""
    if database.engine.dialect.name == "sqlite":
        with database.reading() as tx:
            sql = tx.scalar(text("SELECT sql FROM sqlite_master WHERE name = 'ix_tasks_active'"))
        assert "WHERE" in str(sql)
        assert "'CREATED', 'PENDING', 'SCHEDULED', 'RUNNING'" in str(sql)


def test_migration_is_idempotent(database: Database) -> None:
    migrate(database)

    schema_version.check(database)


def test_datastore_without_schema_is_rejected(unmigrated: Database) -> None:
    with pytest.raises(ConfigurationError, match=r"is at nothing.*run `tork-celery migration`"):
        schema_version.check(unmigrated)


def test_datastore_with_another_revision_is_rejected(database: Database) -> None:
    with database.transaction() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(ConfigurationError, match="is at 9999, this version needs"):
        schema_version.check(database)


@pytest.mark.slow
def test_processes_migrate_concurrently(unmigrated: Database) -> None:
    command = [sys.executable, "-c", MIGRATE, unmigrated.engine.url.render_as_string(hide_password=False)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)
    ]
    errors = [process.communicate("go\n")[1] for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0], errors
    schema_version.check(unmigrated)
