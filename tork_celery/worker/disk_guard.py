"""Protection of a worker's disks from its steps.

- A delivery that uses more than its share fails.
- While a disk is almost full, the worker starts no new task.
- When a disk is nearly exhausted, the delivery that uses most of it fails, so that all others can continue.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from tork_celery.disk_space import DiskSpace
from tork_celery.domain.quantities import format_size
from tork_celery.periodic_thread import PeriodicThread
from tork_celery.runtime.protocol import Disk, Runtime
from tork_celery.worker.active_steps import ActiveStep, ActiveSteps, StopReason

log = structlog.get_logger(__name__)

_INTERVAL_S = 1.0
_DEFAULT_FLOOR_BYTES = 100 * 2**20
_DEFAULT_FLOOR_SHARE = 10  # the default floor is at most this fraction of a disk: 1/10
_FLOOR_FILES = 1000  # on disks with a limited number of files
_FILE_BYTES = 4096
_HYSTERESIS = 1.25  # a disk has room again when this much more than the floor is free
_EXHAUSTED = 0.25  # below this fraction of the floor, a step fails
_WORTH_FAILING = 0.25  # a step that uses less than this fraction of what is missing does not fail
_MEASURING_SHARE = 10  # measuring takes at most this fraction of the time: 1/10


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskLimits:
    """How much of a disk steps may use.

    `step_bytes` is the share of a delivery in its exchange directories; None for no limit. `floor_bytes` is
    the free space below which no new task starts; None for 100 MiB, or a tenth of a smaller disk.
    """

    step_bytes: int | None = None
    floor_bytes: int | None = None

    def shortage(self, space: DiskSpace, *, of_floor: float = 1.0) -> float:
        """Return how many bytes are missing to this fraction of the floor. Missing files count as well."""
        floor_bytes = self.floor_bytes
        if floor_bytes is None:
            floor_bytes = min(_DEFAULT_FLOOR_BYTES, space.total_bytes // _DEFAULT_FLOOR_SHARE)
        missing_files = max(0.0, _FLOOR_FILES * of_floor - space.free_files) if floor_bytes else 0.0
        return max(missing_files * _FILE_BYTES, floor_bytes * of_floor - space.free_bytes, 0.0)


class DiskGuard:
    """One thread that watches the disks which the steps of a worker fill."""

    def __init__(
        self,
        runtime: Runtime,
        steps: ActiveSteps,
        limits: DiskLimits,
        *,
        measure: Callable[[Path], DiskSpace] = DiskSpace.of,
        clock: Callable[[], float] = time.monotonic,
        interval_s: float = _INTERVAL_S,
    ) -> None:
        self._runtime = runtime
        self._steps = steps
        self._limits = limits
        self._measure = measure
        self._clock = clock
        self.has_room = True
        """Whether new tasks may start."""
        self._measure_after_s = -math.inf
        self._thread = PeriodicThread(
            self.check, name="disk-guard", interval_s=interval_s, bug_event="disk_guard.failed"
        )

    def start(self) -> None:
        self.check_room()
        self._thread.start()

    def stop(self) -> None:
        self._thread.stop()

    def check(self) -> None:
        """Check the disks and the steps once. Raises EngineUnavailable."""
        spaces = self.check_room()
        self._check_shares()
        for disk, space in spaces:
            shortage_bytes = self._limits.shortage(space, of_floor=_EXHAUSTED)
            if shortage_bytes:
                self._fail_largest(disk, shortage_bytes)

    def check_room(self) -> list[tuple[Disk, DiskSpace]]:
        """Decide whether new tasks may start. Return the disks with their space."""
        spaces = []
        for disk in self._runtime.disks():
            try:
                spaces.append((disk, self._measure(disk.path)))
            except OSError as error:
                log.warning("disk_guard.not_measured", path=str(disk.path), reason=str(error))
        of_floor = 1.0 if self.has_room else _HYSTERESIS
        low = [(disk, space) for disk, space in spaces if self._limits.shortage(space, of_floor=of_floor)]
        if low and self.has_room:
            self.has_room = False
            for disk, space in low:
                log.warning("worker.disk_low", path=str(disk.path), free=format_size(space.free_bytes))
        elif not low and not self.has_room:
            self.has_room = True
            log.warning("worker.disk_has_room")
        return spaces

    def _check_shares(self) -> None:
        """Fail the steps that use more than their share.

        A directory with very many files is measured less often, so that the disk does not get busy.
        """
        limit_bytes = self._limits.step_bytes
        start_s = self._clock()
        if limit_bytes is None or start_s < self._measure_after_s:
            return
        for step in self._steps.all():
            used_bytes = self._runtime.used_bytes(step.ref.task_id, step.ref.delivery, enough=limit_bytes)
            if used_bytes > limit_bytes:
                self._fail(
                    step,
                    f"uses more than {format_size(limit_bytes)} of disk space for its output and its work "
                    "directory, the limit of this worker (TORK_STEP_DISK)",
                )
        end_s = self._clock()
        self._measure_after_s = end_s + _MEASURING_SHARE * (end_s - start_s)

    def _fail_largest(self, disk: Disk, shortage_bytes: float) -> None:
        """Fail the step that uses most of a disk, unless that is little compared with what is missing.

        One at a time: the space of an earlier one may not be free yet. A larger delivery of another node is
        left to that node.
        """
        active = self._steps.all()
        if not active or any(step.stop_reason is StopReason.OUT_OF_DISK for step in active):
            return
        usage = disk.usage()
        largest = max(usage, key=lambda delivery: usage[delivery], default=None)
        if largest is None or usage[largest] < shortage_bytes * _WORTH_FAILING:
            return
        for step in active:
            if (step.ref.task_id, step.ref.delivery) == largest:
                self._fail(step, _exhausted(disk, usage[largest]))

    def _fail(self, step: ActiveStep, error: str) -> None:
        self._steps.fail(step, StopReason.OUT_OF_DISK, error)


def kill_largest(
    runtime: Runtime,
    limits: DiskLimits,
    path: Path,
    *,
    measure: Callable[[Path], DiskSpace] = DiskSpace.of,
) -> None:
    """Kill the step that uses most of the disk of `path`, if that is exhausted. For a start, without a guard.

    The step runs again then, under a guard. Raises EngineUnavailable.
    """
    shortage_bytes = limits.shortage(measure(path), of_floor=_EXHAUSTED)
    if shortage_bytes and runtime.kill_largest(at_least_bytes=shortage_bytes * _WORTH_FAILING):
        log.warning("worker.largest_step_killed", path=str(path))


def _exhausted(disk: Disk, used_bytes: float) -> str:
    used = f"{format_size(int(used_bytes))} of it" if math.isfinite(used_bytes) else "most of it"
    return f"the disk of the worker is full ({disk.path}), and this task uses {used}, more than any other"
