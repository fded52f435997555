"""A full disk is an outage with a clear text, on SQLite and on PostgreSQL."""

from contextlib import closing
from pathlib import Path

import psycopg.errors
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from tests.store.test_disk_reserve import FakeDisk
from tork_celery.domain.errors import DatastoreFull, DatastoreUnavailable
from tork_celery.store import Database
from tork_celery.store.disk_reserve import DiskReserve
from tork_celery.store.error_mapping import map_errors


def fill(database: Database) -> None:
    """Write more to SQLite than it may."""
    with database.transaction() as tx:
        tx.execute(text("PRAGMA max_page_count = 10"))
        tx.execute(text("CREATE TABLE large (contents BLOB)"))
        tx.execute(text("INSERT INTO large VALUES (zeroblob(1000000))"))


def test_full_disk_of_sqlite_is_reported(tmp_path: Path) -> None:
    with (
        closing(Database.connect(f"sqlite:///{tmp_path}/tork.db")) as database,
        pytest.raises(DatastoreFull, match="disk of the datastore is full"),
    ):
        fill(database)


def test_full_disk_releases_the_reserve(tmp_path: Path) -> None:
    with closing(Database.connect(f"sqlite:///{tmp_path}/tork.db", reserve_disk=True)) as database:
        with database.transaction():
            pass
        with pytest.raises(DatastoreFull, match=str(tmp_path)):
            fill(database)

    assert not (tmp_path / "tork.db-reserve").exists()


def test_full_disk_of_postgresql_is_reported() -> None:
    error = psycopg.errors.DiskFull('could not extend file "base/1": No space left on device')

    with pytest.raises(DatastoreFull, match="is full: could not extend"), map_errors(None):
        raise OperationalError("INSERT", None, error)


@pytest.mark.parametrize(("free_bytes", "expected"), [(0, DatastoreFull), (10**9, DatastoreUnavailable)])
def test_sqlite_without_space_for_its_files_reports_a_full_disk(
    tmp_path: Path, free_bytes: int, expected: type[Exception]
) -> None:
    """SQLite calls it an I/O error, as it does other errors."""
    disk = FakeDisk()
    disk.free_bytes = free_bytes
    directory = tmp_path / "not" / "there"
    reserve = DiskReserve(database=directory / "tork.db", measure=disk.measure)

    with (
        closing(Database.connect(f"sqlite:///{directory}/tork.db")) as database,
        pytest.raises(DatastoreUnavailable) as raised,
        map_errors(reserve),
        database.engine.begin(),
    ):
        pass

    assert type(raised.value) is expected
