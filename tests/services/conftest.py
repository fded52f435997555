import pytest

from tests.services.fakes import FakeDispatcher
from tests.services.sweeping import clock, reconciler, sweep_at
from tests.store.stores import CuttableDatabase, database
from tork_celery.services.context import Coordinator

__all__ = ["clock", "database", "reconciler", "sweep_at"]

LEASE_S = 10.0


@pytest.fixture
def dispatcher() -> FakeDispatcher:
    return FakeDispatcher()


@pytest.fixture
def coordinator(database: CuttableDatabase, dispatcher: FakeDispatcher) -> Coordinator:
    return Coordinator(database=database, dispatcher=dispatcher, lease_s=LEASE_S)
