"""A worker protects its disks: from one step that fills them, and from new tasks while they are full."""

import math
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.worker.fakes import FakeRuntime
from tork_celery.disk_space import DiskSpace
from tork_celery.domain.logs import LogPosition
from tork_celery.domain.model import StepRef
from tork_celery.worker.active_steps import ActiveStep, ActiveSteps, StopReason
from tork_celery.worker.disk_guard import DiskGuard, DiskLimits, kill_largest
from tork_celery.worker.step_output import StepOutput

MIB = 2**20
FLOOR = 100 * MIB


class FakeDisk:
    """The disk that the steps fill, and the clock of the guard."""

    def __init__(self) -> None:
        self.total_bytes = 10_000 * MIB
        self.free_bytes = 5_000 * MIB
        self.free_files: float = 10_000
        self.fails = False
        self.now_s = 0.0

    def measure(self, path: Path) -> DiskSpace:
        if self.fails:
            raise OSError(5, "Input/output error", str(path))
        return DiskSpace(total_bytes=self.total_bytes, free_bytes=self.free_bytes, free_files=self.free_files)

    def clock(self) -> float:
        return self.now_s


class SlowlyMeasuredRuntime(FakeRuntime):
    """Measuring the space of a delivery takes `takes_s`."""

    def __init__(self, disk: FakeDisk, *, takes_s: float) -> None:
        super().__init__()
        self._disk = disk
        self._takes_s = takes_s
        self.measured = 0

    def used_bytes(self, task_id: str, delivery: int, *, enough: float = math.inf) -> float:
        self.measured += 1
        self._disk.now_s += self._takes_s
        return super().used_bytes(task_id, delivery, enough=enough)


@pytest.fixture
def disk() -> FakeDisk:
    return FakeDisk()


@pytest.fixture
def runtime() -> FakeRuntime:
    return FakeRuntime()


@pytest.fixture
def steps() -> ActiveSteps:
    return ActiveSteps(lambda _ref, _grace_s: None, grace_s=0.0)


@pytest.fixture
def active(steps: ActiveSteps) -> Iterator[list[ActiveStep]]:
    """Two steps that run."""
    with ExitStack() as running:
        yield [running.enter_context(steps.running(make_step(task_id))) for task_id in ("a", "b")]


@pytest.fixture
def guard(disk: FakeDisk, runtime: FakeRuntime, steps: ActiveSteps) -> DiskGuard:
    return make_guard(disk, runtime, steps)


def make_guard(
    disk: FakeDisk, runtime: FakeRuntime, steps: ActiveSteps, limits: DiskLimits | None = None
) -> DiskGuard:
    limits = limits or DiskLimits(step_bytes=1000 * MIB)
    return DiskGuard(runtime, steps, limits, measure=disk.measure, clock=disk.clock)


def make_step(task_id: str) -> ActiveStep:
    output = StepOutput(task_id=task_id, step=0, stored=LogPosition(), limit_bytes=100)
    return ActiveStep(ref=StepRef(task_id=task_id, delivery=1, step=0), job_id="job", output=output)


def test_step_that_uses_more_than_its_share_fails(
    guard: DiskGuard, runtime: FakeRuntime, active: list[ActiveStep]
) -> None:
    runtime.used = {("a", 1): 1000 * MIB + 1, ("b", 1): 1000 * MIB}

    guard.check()

    assert [step.stop_reason for step in active] == [StopReason.OUT_OF_DISK, None]
    assert active[0].error == (
        "uses more than 1000m of disk space for its output and its work directory, the limit of this worker "
        "(TORK_STEP_DISK)"
    )


def test_share_may_be_unlimited(
    disk: FakeDisk, runtime: FakeRuntime, steps: ActiveSteps, active: list[ActiveStep]
) -> None:
    runtime.used = {("a", 1): math.inf}

    make_guard(disk, runtime, steps, DiskLimits(step_bytes=None)).check()

    assert active[0].stop_reason is None


@pytest.mark.parametrize(
    ("total_bytes", "free_bytes", "free_files", "has_room"),
    [
        (10_000 * MIB, FLOOR, 10_000, True),
        (10_000 * MIB, FLOOR - 1, 10_000, False),
        (10_000 * MIB, 5_000 * MIB, 999, False),
        (80 * MIB, 9 * MIB, 10_000, True),
        (80 * MIB, 7 * MIB, 10_000, False),
    ],
    ids=["enough", "too little", "too few files", "enough of a small disk", "too little of a small disk"],
)
def test_new_tasks_need_room(
    guard: DiskGuard, disk: FakeDisk, total_bytes: int, free_bytes: int, free_files: int, *, has_room: bool
) -> None:
    disk.total_bytes, disk.free_bytes, disk.free_files = total_bytes, free_bytes, free_files

    guard.check()

    assert guard.has_room is has_room


def test_room_is_known_at_the_start(guard: DiskGuard, disk: FakeDisk) -> None:
    disk.free_bytes = 0

    guard.start()
    guard.stop()

    assert not guard.has_room


@pytest.mark.parametrize(("floor_bytes", "has_room"), [(0, True), (10 * MIB, False)])
def test_floor_is_a_setting(
    disk: FakeDisk, runtime: FakeRuntime, steps: ActiveSteps, floor_bytes: int, *, has_room: bool
) -> None:
    disk.free_bytes, disk.free_files = 9 * MIB, 0
    guard = make_guard(disk, runtime, steps, DiskLimits(floor_bytes=floor_bytes))

    guard.check()

    assert guard.has_room is has_room


def test_room_comes_back_with_some_distance_and_changes_are_logged_once(
    guard: DiskGuard, disk: FakeDisk
) -> None:
    with capture_logs() as logged:
        for free_bytes in (FLOOR, FLOOR - 1, 0, FLOOR, FLOOR * 5 // 4 - 1, FLOOR * 5 // 4, FLOOR):
            disk.free_bytes = free_bytes
            guard.check()

    assert guard.has_room
    assert [entry["event"] for entry in logged] == ["worker.disk_low", "worker.disk_has_room"]
    assert (logged[0]["path"], logged[0]["free"]) == ("/disk", "99.9m")


def test_disk_that_cannot_be_measured_is_used(
    guard: DiskGuard, disk: FakeDisk, runtime: FakeRuntime, active: list[ActiveStep]
) -> None:
    disk.fails = True
    runtime.used = {("a", 1): 2000 * MIB}

    guard.check()

    assert guard.has_room
    assert active[0].stop_reason is StopReason.OUT_OF_DISK


def test_largest_step_fails_when_the_disk_is_exhausted(
    guard: DiskGuard, disk: FakeDisk, runtime: FakeRuntime, active: list[ActiveStep]
) -> None:
    """It would fail anyway, and everything else with it."""
    disk.free_bytes = 0
    runtime.used = {("a", 1): 30 * MIB, ("b", 1): 40.5 * MIB, ("ended", 1): 20 * MIB}

    guard.check()

    assert [step.stop_reason for step in active] == [None, StopReason.OUT_OF_DISK]
    assert active[1].error == (
        "the disk of the worker is full (/disk), and this task uses 40.5m of it, more than any other"
    )


def test_steps_run_on_while_the_disk_is_only_low(
    guard: DiskGuard, disk: FakeDisk, runtime: FakeRuntime, active: list[ActiveStep]
) -> None:
    disk.free_bytes = FLOOR // 4
    runtime.used = {("a", 1): 500 * MIB}

    guard.check()

    assert active[0].stop_reason is None


def test_one_step_fails_at_a_time(
    guard: DiskGuard, disk: FakeDisk, runtime: FakeRuntime, steps: ActiveSteps
) -> None:
    disk.free_bytes = 0
    runtime.used = {("a", 1): 50 * MIB, ("b", 1): 40 * MIB}
    with steps.running(make_step("b")) as b:
        with steps.running(make_step("a")) as a:
            guard.check()
            guard.check()
            assert (a.stop_reason, b.stop_reason) == (StopReason.OUT_OF_DISK, None)
        runtime.used = {("b", 1): 40 * MIB}  # the space is still not enough
        guard.check()

        assert b.stop_reason is StopReason.OUT_OF_DISK


@pytest.mark.parametrize(
    "used",
    [{("a", 1): 1 * MIB}, {("a", 1): 50 * MIB, ("c", 1): 60 * MIB}, {}],
    ids=["the steps use little", "another node's task uses more", "the steps use nothing"],
)
def test_no_step_fails_that_did_not_fill_the_disk(
    guard: DiskGuard,
    disk: FakeDisk,
    runtime: FakeRuntime,
    active: list[ActiveStep],
    used: dict[tuple[str, int], float],
) -> None:
    disk.free_bytes = 0
    runtime.used = used

    guard.check()

    assert [step.stop_reason for step in active] == [None, None]


def test_step_with_too_many_files_fails_when_no_files_are_left(
    guard: DiskGuard, disk: FakeDisk, runtime: FakeRuntime, active: list[ActiveStep]
) -> None:
    disk.free_files = 0
    runtime.used = {("a", 1): math.inf}

    guard.check()

    assert active[0].stop_reason is StopReason.OUT_OF_DISK


def test_slow_measuring_does_not_keep_the_disk_busy(
    disk: FakeDisk, steps: ActiveSteps, active: list[ActiveStep]
) -> None:
    del active
    runtime = SlowlyMeasuredRuntime(disk, takes_s=2.0)
    guard = make_guard(disk, runtime, steps)
    guard.check()
    assert (runtime.measured, disk.now_s) == (2, 4.0)

    disk.now_s += 39.0
    guard.check()
    assert runtime.measured == 2
    disk.now_s += 1.0
    guard.check()
    assert runtime.measured == 4


@pytest.mark.parametrize("of_share", [True, False])
def test_step_that_is_stopped_for_another_reason_keeps_that(
    guard: DiskGuard,
    disk: FakeDisk,
    runtime: FakeRuntime,
    steps: ActiveSteps,
    active: list[ActiveStep],
    *,
    of_share: bool,
) -> None:
    steps.kill(active[0], StopReason.CANCELLED)
    disk.free_bytes = 5_000 * MIB if of_share else 0
    runtime.used = {("a", 1): 2000 * MIB}

    guard.check()

    assert active[0].stop_reason is StopReason.CANCELLED


@pytest.mark.parametrize(
    ("free_bytes", "killed"), [(0, [6.25 * MIB]), (24 * MIB, [0.25 * MIB]), (25 * MIB, []), (FLOOR, [])]
)
def test_start_on_an_exhausted_disk_kills_the_largest_step(
    disk: FakeDisk, runtime: FakeRuntime, free_bytes: int, killed: list[float]
) -> None:
    """One that uses little compared with what is missing is not what fills the disk."""
    disk.free_bytes = free_bytes

    kill_largest(runtime, DiskLimits(), Path("/disk"), measure=disk.measure)

    assert runtime.largest_killed == killed
