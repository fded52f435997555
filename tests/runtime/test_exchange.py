import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tork_celery.domain.model import StepRef
from tork_celery.runtime.exchange import Exchange, NotRegularFile, write_files

LEVELS = 1100  # more than the recursion limit; with NAME, longer than PATH_MAX
NAME = "nest"


def nest(directory: Path) -> None:
    """Nest directories deeper than a path can name and than a recursive function can follow."""
    inner = os.open(directory, os.O_RDONLY)
    for _ in range(LEVELS):
        os.mkdir(NAME, dir_fd=inner)
        outer, inner = inner, os.open(NAME, os.O_RDONLY, dir_fd=inner)
        os.close(outer)
    os.close(inner)


def nest_with_link(directory: Path) -> None:
    nest(directory)
    (directory / "out").symlink_to(directory.parents[3], target_is_directory=True)


def revoke_access(directory: Path) -> None:
    (directory / "locked" / "inner").mkdir(parents=True)
    (directory / "locked" / "inner").chmod(0)
    (directory / "locked").chmod(0)


@pytest.mark.parametrize(
    "make_hard_to_remove",
    [nest_with_link, revoke_access],
    ids=["too deep, with a link", "no access"],
)
def test_any_directory_tree_is_removed(tmp_path: Path, make_hard_to_remove: Callable[[Path], None]) -> None:
    exchange = Exchange(work_dir=tmp_path / "work", node="default@here")
    workdir = tmp_path / "work" / "default@here" / "task-1" / "0" / "workdir"
    workdir.mkdir(parents=True)
    (tmp_path / "kept").mkdir()
    make_hard_to_remove(workdir)

    exchange.remove_delivery("task", 1)

    assert list(exchange.leftovers()) == []
    assert (tmp_path / "kept").is_dir()


REF = StepRef(task_id="task", delivery=1, step=0)


@pytest.mark.parametrize(
    "put",
    [
        os.mkfifo,
        Path.mkdir,
        lambda path: path.symlink_to("/etc/passwd"),
        lambda path: path.symlink_to("/dev/null"),
    ],
    ids=["fifo", "directory", "link", "link to a device"],
)
def test_nothing_but_a_regular_file_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, put: Callable[[Path], None]
) -> None:
    exchange = Exchange(work_dir=tmp_path, node="n")
    exchange.path(REF).mkdir(parents=True)
    put(exchange.path(REF) / "output")
    put(exchange.path(REF) / "progress")
    opened = list[int]()
    really_open = os.open

    def spy(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        opened.append(flags)
        return really_open(path, flags, *arguments, **options)

    monkeypatch.setattr(os, "open", spy)

    with pytest.raises(NotRegularFile):
        exchange.output(REF)
    assert exchange.progress(REF) is None
    assert len(opened) == 2
    assert all(flags & os.O_PATH for flags in opened)


def test_fifo_in_the_work_directory_of_the_host_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.txt")

    with pytest.raises(OSError, match="No such device or address"):
        write_files(tmp_path, {"a.txt": "x"})
