"""The migrations make what the tables say, once, whoever asks for it."""

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
def empty(tmp_path: Path) -> Iterator[Database]:
    with closing(Database.connect(f"sqlite:///{tmp_path}/new.db")) as database:
        yield database


def test_the_migrations_make_exactly_the_tables(database: Database) -> None:
    def is_table(thing: Any, name: str | None, kind: str, *_: Any) -> bool:
        of_texts = kind == "table" and str(name).startswith("job_texts")  # what is searched is no plain table
        return not of_texts and thing is not None

    options = {"include_object": is_table}
    with database.transaction() as tx:
        assert compare_metadata(MigrationContext.configure(tx, opts=options), metadata) == []


def test_there_is_one_newest_migration(database: Database) -> None:
    [head] = ScriptDirectory.from_config(migration.alembic_config()).get_heads()

    with database.reading() as tx:
        assert schema_version.revision(tx) == head == schema_version.NEEDED


def test_the_index_of_what_is_active_is_partial(database: Database) -> None:
    """A comparison of tables does not look at an index's condition."""
    if database.engine.dialect.name == "sqlite":
        with database.reading() as tx:
            made = tx.scalar(text("SELECT sql FROM sqlite_master WHERE name = 'ix_tasks_active'"))
        assert "WHERE" in str(made)
        assert "'CREATED', 'PENDING', 'SCHEDULED', 'RUNNING'" in str(made)


def test_migrating_twice_changes_nothing(database: Database) -> None:
    migrate(database)

    schema_version.check(database)


def test_a_datastore_that_was_not_migrated_is_refused(empty: Database) -> None:
    with pytest.raises(ConfigurationError, match=r"is at nothing.*run `tork-celery migration`"):
        schema_version.check(empty)


def test_a_datastore_of_another_version_is_refused(database: Database) -> None:
    with database.transaction() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(ConfigurationError, match="is at 9999, this version needs"):
        schema_version.check(database)


def test_processes_may_migrate_at_once(empty: Database) -> None:
    command = [sys.executable, "-c", MIGRATE, empty.engine.url.render_as_string(hide_password=False)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)
    ]
    said = [process.communicate("go\n")[1] for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0], said
    schema_version.check(empty)
