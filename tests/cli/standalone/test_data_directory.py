"""The data directory is private to its user, and one system uses it at a time."""

import os
from pathlib import Path

import pytest

from tork_celery.cli.standalone.data_directory import locked, make_private, private_files
from tork_celery.domain.errors import ConfigurationError

FILES = ("lock", "tork.db", "tork.db-wal", "tork.db-shm")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """An empty directory that other users can read."""
    directory = tmp_path / "data"
    directory.mkdir()
    directory.chmod(0o755)
    return directory


def test_missing_directory_is_created_for_its_user_only(tmp_path: Path) -> None:
    make_private(tmp_path / "a" / "data")

    assert mode(tmp_path / "a" / "data") == 0o700


def test_empty_directory_is_closed_to_other_users(directory: Path) -> None:
    make_private(directory)

    assert mode(directory) == 0o700


def test_earlier_data_directory_is_closed_with_its_files(directory: Path) -> None:
    for name in FILES:
        (directory / name).touch()
        (directory / name).chmod(0o644)
    (directory / "work").mkdir(mode=0o755)

    make_private(directory)

    assert mode(directory) == mode(directory / "work") == 0o700
    assert {mode(directory / name) for name in FILES} == {0o600}


def test_open_directory_with_foreign_files_is_rejected_and_not_changed(directory: Path) -> None:
    (directory / "photos").mkdir()

    with pytest.raises(ConfigurationError, match=f"chmod 700 {directory}"):
        make_private(directory)

    assert mode(directory) == 0o755


def test_private_directory_may_hold_foreign_files(directory: Path) -> None:
    (directory / "photo").touch()
    (directory / "photo").chmod(0o644)
    directory.chmod(0o700)

    make_private(directory)

    assert mode(directory / "photo") == 0o644


def test_directory_of_another_user_is_rejected(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)

    with pytest.raises(ConfigurationError, match="belongs to the user"):
        make_private(directory)

    assert mode(directory) == 0o755


def test_file_in_place_of_the_directory_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "data").touch()

    with pytest.raises(ConfigurationError, match="cannot use the data directory"):
        make_private(tmp_path / "data")


def test_links_are_not_followed(directory: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.touch(mode=0o644)
    (directory / "tork.db").symlink_to(target)
    (directory / "lock").symlink_to(target)

    make_private(directory)

    assert mode(target) == 0o644
    with pytest.raises(ConfigurationError, match="Too many levels of symbolic links"), locked(directory):
        pass


def test_second_lock_is_rejected_until_the_first_is_released(directory: Path) -> None:
    with locked(directory):
        assert mode(directory / "lock") == 0o600
        with pytest.raises(ConfigurationError, match="another tork-celery uses"), locked(directory):
            pass
    with locked(directory):
        pass


def test_files_are_private_while_the_context_lasts(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with private_files() as former:
            (tmp_path / "private").touch()
        (tmp_path / "public").touch()
    finally:
        os.umask(before)

    assert former == 0o022
    assert (mode(tmp_path / "private"), mode(tmp_path / "public")) == (0o600, 0o644)
