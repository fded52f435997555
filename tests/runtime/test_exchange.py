import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tork_celery.runtime.exchange import Exchange


def nest(directory: Path, *, levels: int) -> None:
    """Nest directories deeper than a path can name."""
    inner = os.open(directory, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=inner)
        outer, inner = inner, os.open("d", os.O_RDONLY, dir_fd=inner)
        os.close(outer)
    os.close(inner)


def nest_with_link(directory: Path) -> None:
    nest(directory, levels=1_500)
    (directory / "out").symlink_to(directory.parents[3], target_is_directory=True)


def revoke_access(directory: Path) -> None:
    (directory / "locked" / "inner").mkdir(parents=True)
    (directory / "locked" / "inner").chmod(0)
    (directory / "locked").chmod(0)


@pytest.mark.parametrize(
    "make_hard_to_remove",
    [lambda path: nest(path, levels=3_000), nest_with_link, revoke_access],
    ids=["too deep", "link", "no access"],
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
