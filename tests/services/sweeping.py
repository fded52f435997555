"""Fixtures that sweep at given times, and the values of a lost task."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection

from tork_celery.domain.states import TaskState
from tork_celery.services.context import ServiceContext
from tork_celery.services.recovery_sweep import RecoverySweep

NODE = "default@here"
LONG_AGO = 1.0
LOST: dict[str, Any] = {
    "state": TaskState.RUNNING,
    "node": NODE,
    "step_running": True,
    "lease_until": LONG_AGO,
    "sent_at": LONG_AGO,
}


class FakeClock:
    """The datastore's clock."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self, _: Connection) -> float:
        return self.now


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def recovery_sweep(context: ServiceContext, clock: FakeClock) -> RecoverySweep:
    return RecoverySweep(context, clock=clock)


@pytest.fixture
def sweep_at(recovery_sweep: RecoverySweep, clock: FakeClock) -> Callable[..., None]:
    """Sweep once at each of the given offsets, in seconds from now. The datastore answers each time."""

    def sweep(*offsets_s: float) -> None:
        start = clock.now
        for offset_s in offsets_s:
            clock.now = start + offset_s
            recovery_sweep.datastore_answered(clock.now)
            recovery_sweep.sweep()

    return sweep


Sweep = Callable[..., None]
