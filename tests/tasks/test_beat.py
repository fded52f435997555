"""Beat fires the scheduled jobs, and goes on whatever happens."""

from collections.abc import Callable
from typing import Any

import pytest
from celery import beat

from tork_celery.domain.errors import DatastoreUnavailable
from tork_celery.services import schedules
from tork_celery.tasks.app import app
from tork_celery.tasks.beat import Scheduler


@pytest.fixture
def scheduler(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Scheduler]:
    """A scheduler without entries of its own, and what it does to fire."""

    def make(fire_due: Callable[[Any], None]) -> Scheduler:
        monkeypatch.setattr(schedules, "fire_due", fire_due)
        monkeypatch.setattr(beat.Scheduler, "tick", lambda _self: 5.0)
        monkeypatch.setattr(Scheduler, "_coordinator_here", lambda _self: None)
        return Scheduler(app, schedule={}, lazy=True)

    return make


def test_each_tick_fires_and_the_next_one_is_soon(scheduler: Callable[..., Scheduler]) -> None:
    fired: list[Any] = []

    assert scheduler(fired.append).tick() <= 1.0
    assert len(fired) == 1


def test_a_datastore_that_is_away_does_not_end_it(scheduler: Callable[..., Scheduler]) -> None:
    def away(_: Any) -> None:
        raise DatastoreUnavailable("the datastore is away")

    assert scheduler(away).tick() <= 1.0


def test_celery_is_configured_to_use_it() -> None:
    assert app.conf.beat_scheduler == "tork_celery.tasks.beat:Scheduler"
