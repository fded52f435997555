"""The start of a process while a step fills the disk."""

from collections.abc import Callable
from contextlib import closing, suppress
from typing import TypeVar

from tork_celery.bootstrap.runtime import build_runtime
from tork_celery.domain.errors import DatastoreFull, EngineUnavailable
from tork_celery.settings import Settings
from tork_celery.worker.disk_guard import DiskLimits

T = TypeVar("T")


def freeing_full_disk(settings: Settings, action: Callable[[], T]) -> T:
    """Run an action that writes to the datastore. If its disk is full, kill the step that fills it and raise.

    For a process that starts: a step that runs since earlier may take each byte that becomes free, and only a
    worker that has started protects the disk from it.
    """
    try:
        return action()
    except DatastoreFull:
        from tork_celery.worker.disk_guard import kill_largest  # noqa: PLC0415

        runtime = build_runtime(settings, cluster="none", node="none", slots=1)
        with closing(runtime), suppress(EngineUnavailable):
            kill_largest(runtime, disk_limits(settings), settings.data_dir)
        raise


def disk_limits(settings: Settings) -> DiskLimits:

    return DiskLimits(step_bytes=settings.step_disk_bytes, floor_bytes=settings.disk_floor_bytes)
