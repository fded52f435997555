from collections.abc import Callable

import pytest

from tests.services.fakes import FakeDispatcher
from tests.services.sweeping import clock, recovery_sweep, sweep_at
from tests.store.stores import FlakyDatabase, change, database
from tork_celery.domain.model import Task
from tork_celery.domain.states import Outcome, TaskState
from tork_celery.services.advance import advance
from tork_celery.services.context import ServiceContext

__all__ = ["clock", "database", "recovery_sweep", "sweep_at"]

LEASE_S = 10.0


@pytest.fixture
def dispatcher() -> FakeDispatcher:
    return FakeDispatcher()


@pytest.fixture
def context(database: FlakyDatabase, dispatcher: FakeDispatcher) -> ServiceContext:
    return ServiceContext(database=database, dispatcher=dispatcher, lease_s=LEASE_S)


@pytest.fixture
def end_task(context: ServiceContext) -> Callable[[Task, Outcome], None]:
    """End a task with an outcome, as if a node had run it, and advance its job."""

    def end(task: Task, outcome: Outcome) -> None:
        running = {"state": TaskState.RUNNING, "node": "n"}
        change(context.database, task, **running, outcome=outcome, ended_at=5.0, error="e")
        advance(context, task.id, task.delivery)

    return end


@pytest.fixture
def sent_task(dispatcher: FakeDispatcher) -> Callable[[str], Task]:
    """Return the sent task with a name."""
    return lambda name: next(task for task in dispatcher.sent if task.definition.name == name)
