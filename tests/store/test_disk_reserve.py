"""Disk space is reserved for a SQLite datastore, and released when its disk is full."""

from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tork_celery.disk_space import DiskSpace
from tork_celery.domain.errors import DatastoreFull
from tork_celery.store import Database
from tork_celery.store.disk_reserve import DiskReserve

MIB = 2**20
SIZE = 16 * MIB


class FakeDisk:
    """The disk of a datastore. Its free space does not depend on the reserve."""

    def __init__(self) -> None:
        self.total_bytes = 1024 * MIB
        self.free_bytes = 500 * MIB
        self.free_files: float = 1000
        self.fails = False

    def measure(self, path: Path) -> DiskSpace:
        if self.fails:
            raise FileNotFoundError(path)
        return DiskSpace(total_bytes=self.total_bytes, free_bytes=self.free_bytes, free_files=self.free_files)


@pytest.fixture
def disk() -> FakeDisk:
    return FakeDisk()


@pytest.fixture
def reserve(disk: FakeDisk, tmp_path: Path) -> DiskReserve:
    return DiskReserve(database=tmp_path / "tork.db", measure=disk.measure)


def test_reserve_occupies_disk_space_and_is_private(reserve: DiskReserve) -> None:
    assert reserve.update()

    status = reserve.path.stat()
    assert status.st_size == SIZE
    assert status.st_blocks * 512 >= SIZE
    assert status.st_mode & 0o777 == 0o600


def test_reserve_of_a_small_disk_is_small(reserve: DiskReserve, disk: FakeDisk) -> None:
    disk.total_bytes, disk.free_bytes = 80 * MIB, 60 * MIB
    reserve.update()

    assert reserve.path.stat().st_size == 4 * MIB


@pytest.mark.parametrize(("free_bytes", "released"), [(5 * MIB, False), (3 * MIB, True), (0, True)])
def test_reserve_is_released_when_the_disk_is_almost_full(
    reserve: DiskReserve, disk: FakeDisk, free_bytes: int, *, released: bool
) -> None:
    reserve.update()
    disk.free_bytes = free_bytes

    assert reserve.update() is not released
    assert reserve.path.exists() is not released


def test_reserve_is_released_when_no_files_are_left(reserve: DiskReserve, disk: FakeDisk) -> None:
    reserve.update()
    disk.free_files = 3

    assert not reserve.update()
    assert not reserve.path.exists()


def test_reserve_is_created_again_with_some_distance(reserve: DiskReserve, disk: FakeDisk) -> None:
    """Otherwise the space of the reserve itself would count as room."""
    reserve.update()
    disk.free_bytes = 0
    reserve.update()

    disk.free_bytes = SIZE + 4 * MIB
    assert not reserve.update()
    disk.free_bytes = 2 * SIZE
    assert reserve.update()
    assert reserve.path.exists()


def test_what_grows_is_refused_until_the_reserve_exists_again(reserve: DiskReserve, disk: FakeDisk) -> None:
    reserve.require_room()
    disk.free_bytes = 0
    with pytest.raises(DatastoreFull, match=f"full: {reserve.path.parent}"):
        reserve.require_room()
    disk.free_bytes = SIZE
    with pytest.raises(DatastoreFull):
        reserve.require_room()

    disk.free_bytes = 500 * MIB
    reserve.require_room()


def test_processes_share_the_reserve(reserve: DiskReserve, disk: FakeDisk) -> None:
    other = DiskReserve(database=reserve.database, measure=disk.measure)
    reserve.update()
    disk.free_bytes = 0
    reserve.update()
    disk.free_bytes = SIZE

    assert not other.update()


def test_each_change_is_logged_once(reserve: DiskReserve, disk: FakeDisk) -> None:
    with capture_logs() as logged:
        for free_bytes in (500 * MIB, 500 * MIB, 0, 0, 500 * MIB):
            disk.free_bytes = free_bytes
            reserve.update()

    events = [entry["event"] for entry in logged]
    assert events == ["datastore.disk_reserved", "datastore.disk_full", "datastore.disk_reserved"]


def test_disk_that_fills_up_during_the_creation_is_full(
    reserve: DiskReserve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", fail)

    assert not reserve.update()
    assert not reserve.path.exists()


def test_directory_that_cannot_be_measured_has_room(reserve: DiskReserve, disk: FakeDisk) -> None:
    """SQLite reports what is wrong with it."""
    disk.fails = True

    reserve.require_room()
    assert not reserve.explains_errors()


def test_reserve_that_cannot_be_created_refuses_nothing(disk: FakeDisk, tmp_path: Path) -> None:
    (tmp_path / "tork.db-reserve").mkdir()

    DiskReserve(database=tmp_path / "tork.db", measure=disk.measure).require_room()


@pytest.mark.parametrize("access", ["transaction", "reading"])
def test_first_access_creates_the_reserve(tmp_path: Path, access: str) -> None:
    with closing(Database.connect(f"sqlite:///{tmp_path}/tork.db", reserve_disk=True)) as database:
        with getattr(database, access)():
            pass
        database.require_room()

    assert (tmp_path / "tork.db-reserve").exists()


def test_database_without_a_reserve_creates_none(tmp_path: Path) -> None:
    with closing(Database.connect(f"sqlite:///{tmp_path}/tork.db")) as database:
        with database.transaction():
            pass
        database.require_room()

    assert not (tmp_path / "tork.db-reserve").exists()
