"""The disk space of exchange directories is measured, and freed without a need for space."""

import math
import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.runtime.test_exchange import nest
from tork_celery.domain.model import StepRef
from tork_celery.runtime import exchange_space
from tork_celery.runtime.exchange import Exchange, NotRegularFile
from tork_celery.runtime.protocol import MAX_RESULT_BYTES

REF = StepRef(task_id="task", delivery=1, step=0)
MIB = 2**20


@pytest.fixture
def exchange(tmp_path: Path) -> Exchange:
    return Exchange(work_dir=tmp_path / "work", node="default@here")


@pytest.fixture
def directory(exchange: Exchange) -> Path:
    """The exchange directory of the step REF."""
    directory = exchange.path(REF)
    (directory / "workdir").mkdir(parents=True)
    (directory / "output").write_bytes(b"")
    (directory / "progress").write_bytes(b"")
    return directory


def used_bytes(directory: Path) -> float:
    return exchange_space.used_bytes(directory)


def test_used_space_is_that_of_all_files(directory: Path, exchange: Exchange) -> None:
    before = exchange.used_bytes("task", 1)
    (directory / "workdir" / "sub").mkdir()
    (directory / "workdir" / "sub" / "file").write_bytes(bytes(MIB))
    (directory / "output").write_bytes(bytes(2 * MIB))
    (directory.parent / "1").mkdir()
    (directory.parent / "1" / "output").write_bytes(bytes(MIB))  # of a sidecar

    assert 4 * MIB <= exchange.used_bytes("task", 1) - before <= 4.1 * MIB


def test_measuring_stops_above_enough(directory: Path) -> None:
    for number in range(20):
        (directory / f"{number}").mkdir()
        (directory / f"{number}" / "file").write_bytes(bytes(MIB))

    assert MIB < exchange_space.used_bytes(directory, enough=MIB) < 10 * MIB


def test_holes_of_files_use_no_space(directory: Path) -> None:
    with (directory / "output").open("wb") as file:
        file.truncate(1024 * MIB)

    assert used_bytes(directory) < MIB


def test_file_with_several_names_counts_once(directory: Path) -> None:
    (directory / "workdir" / "a").write_bytes(bytes(MIB))
    before = used_bytes(directory)
    for number in range(5):
        os.link(directory / "workdir" / "a", directory / "workdir" / f"b{number}")

    assert used_bytes(directory) == before


def test_links_are_not_followed(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(MIB))
    (directory / "workdir" / "directory").symlink_to(tmp_path)
    (directory / "workdir" / "file").symlink_to(tmp_path / "large")
    (directory / "workdir" / "loop").symlink_to(directory)

    assert used_bytes(directory) < MIB


def test_empty_files_count_too(directory: Path) -> None:
    """A disk can have a limited number of files only."""
    before = used_bytes(directory)
    for number in range(1000):
        (directory / "workdir" / f"{number}").touch()

    assert used_bytes(directory) - before >= 1000 * 4096


def test_nothing_hides_in_deep_directories(exchange: Exchange, directory: Path) -> None:
    nest(directory / "workdir")

    used = used_bytes(directory)

    exchange.remove(REF)  # pytest cannot
    assert used == math.inf


def test_missing_directory_uses_nothing(exchange: Exchange) -> None:
    assert exchange.used_bytes("other", 1) == 0
    assert exchange.used_by_delivery() == {}


def test_deliveries_of_all_nodes_are_measured(exchange: Exchange, directory: Path, tmp_path: Path) -> None:
    (directory / "output").write_bytes(bytes(MIB))
    other = Exchange(work_dir=tmp_path / "work", node="a b/ö@here")
    other.path(StepRef(task_id="else", delivery=2, step=0)).mkdir(parents=True)

    used = exchange.used_by_delivery()

    assert set(used) == {("task", 1), ("else", 2)}
    assert used["task", 1] > MIB > used["else", 2]


def test_freed_step_keeps_its_result_and_its_progress(exchange: Exchange, directory: Path) -> None:
    (directory / "output").write_bytes(b"x" * 3 * MIB)
    (directory / "progress").write_bytes(b"50" + b" " * MIB)
    (directory / "workdir" / "large").write_bytes(bytes(MIB))
    (directory / "other").write_bytes(bytes(MIB))
    before = exchange.output(REF), exchange.progress(REF)

    exchange.free_space(REF)

    assert (exchange.output(REF), exchange.progress(REF)) == before == (b"x" * (MAX_RESULT_BYTES + 1), 50.0)
    assert used_bytes(directory) < MIB / 2
    assert sorted(path.name for path in directory.iterdir()) == ["output", "progress"]
    assert list(exchange.steps()) == [REF]


def test_short_result_is_kept_as_it_is(exchange: Exchange, directory: Path) -> None:
    (directory / "output").write_bytes(b"42")

    exchange.free_space(REF)

    assert exchange.output(REF) == b"42"


def test_output_that_is_no_file_stays_none(exchange: Exchange, directory: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(bytes(MIB))
    (directory / "output").unlink()
    (directory / "output").mkdir()
    (directory / "output" / "large").write_bytes(bytes(MIB))
    (directory / "progress").unlink()
    (directory / "progress").symlink_to(tmp_path / "kept")

    exchange.free_space(REF)

    with pytest.raises(NotRegularFile):
        exchange.output(REF)
    assert used_bytes(directory) < MIB / 2
    assert (tmp_path / "kept").stat().st_size == MIB


def test_any_directory_tree_is_freed(exchange: Exchange, directory: Path) -> None:
    nest(directory / "workdir")

    exchange.free_space(REF)

    assert used_bytes(directory) < MIB


def test_step_without_a_directory_has_no_space_to_free(exchange: Exchange) -> None:
    exchange.free_space(REF)


def test_file_that_cannot_be_removed_does_not_keep_others(
    exchange: Exchange, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / "other").write_bytes(bytes(MIB))
    (directory / "output").write_bytes(bytes(MIB))

    def fail(_path: Path, *, missing_ok: bool = False) -> None:
        del missing_ok
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "unlink", fail)
    with capture_logs() as logged:
        exchange.free_space(REF)

    assert [entry["event"] for entry in logged] == ["runtime.removal_failed"]
    assert (directory / "output").stat().st_size == MAX_RESULT_BYTES + 1


def test_file_that_this_user_may_not_write_is_replaced(
    exchange: Exchange, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container's root user creates such files, and the worker may not be root."""
    (directory / "output").write_bytes(b"x" * MIB)
    really_open = os.open

    def refuse_writing(path: object, flags: int, *arguments: int, **options: int) -> int:
        if str(path).startswith("/proc/") and flags & os.O_WRONLY:
            raise PermissionError(13, "Permission denied")
        return really_open(path, flags, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refuse_writing)
    exchange.free_space(REF)

    assert exchange.output(REF) == b"x" * (MAX_RESULT_BYTES + 1)
    assert (directory / "output").stat().st_size == MAX_RESULT_BYTES + 1
