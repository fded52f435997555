import pytest

from tests.services.fakes import FakeDispatcher
from tests.services.sweeping import clock, recovery_sweep, sweep_at
from tests.store.stores import CuttableDatabase, database
from tork_celery.services.context import ServiceContext

__all__ = ["clock", "database", "recovery_sweep", "sweep_at"]

LEASE_S = 10.0


@pytest.fixture
def dispatcher() -> FakeDispatcher:
    return FakeDispatcher()


@pytest.fixture
def context(database: CuttableDatabase, dispatcher: FakeDispatcher) -> ServiceContext:
    return ServiceContext(database=database, dispatcher=dispatcher, lease_s=LEASE_S)
