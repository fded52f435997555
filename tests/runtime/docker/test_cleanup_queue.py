"""What a step leaves in its directory is removed, whatever it has made of it."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tork_celery.runtime.docker.cleanup_queue import CleanupQueue
from tork_celery.runtime.exchange import Exchange


def nest(directory: Path, *, levels: int) -> None:
    """One directory in another, far beyond what a path can name."""
    inner = os.open(directory, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=inner)
        outer, inner = inner, os.open("d", os.O_RDONLY, dir_fd=inner)
        os.close(outer)
    os.close(inner)


def link_out(directory: Path) -> None:
    nest(directory, levels=1_500)
    (directory / "out").symlink_to(directory.parents[3], target_is_directory=True)


def lock(directory: Path) -> None:
    (directory / "locked" / "inner").mkdir(parents=True)
    (directory / "locked" / "inner").chmod(0)
    (directory / "locked").chmod(0)


@pytest.mark.parametrize("leave", [lambda path: nest(path, levels=3_000), link_out, lock])
def test_a_tree_that_is_hard_to_remove_goes(tmp_path: Path, leave: Callable[[Path], None]) -> None:
    exchange = Exchange(work_dir=tmp_path / "work", node="default@here")
    workdir = tmp_path / "work" / "default@here" / "task-1" / "0" / "workdir"
    workdir.mkdir(parents=True)
    (tmp_path / "kept").mkdir()
    leave(workdir)

    exchange.remove_delivery("task", 1)

    assert list(exchange.leftovers()) == []
    assert (tmp_path / "kept").is_dir()


def test_a_removal_that_fails_by_a_bug_keeps_no_later_one_from_being_done() -> None:
    cleanup_queue, done = CleanupQueue(threads=1), threading.Event()

    def fail() -> None:
        raise RecursionError

    cleanup_queue.submit(("task", 1), fail)
    cleanup_queue.submit(("task", 1), done.set)
    cleanup_queue.close()

    assert done.is_set()
