from collections.abc import Callable, Iterator

import pytest

from tests.services.fakes import FakeDispatcher
from tests.store.stores import CuttableDatabase, database
from tests.worker.fakes import FakeRuntime
from tork_celery.domain.definition import Defaults
from tork_celery.worker.worker import Worker

__all__ = ["database"]

NODE = "default@here"


@pytest.fixture
def dispatcher() -> FakeDispatcher:
    return FakeDispatcher()


@pytest.fixture
def make_worker(database: CuttableDatabase, dispatcher: FakeDispatcher) -> Iterator[Callable[..., Worker]]:
    """Makes workers of the node, each on the runtime that is given."""
    made: list[Worker] = []

    def make(runtime: FakeRuntime, *, defaults: Defaults | None = None) -> Worker:
        worker = Worker(
            database=database,
            dispatcher=dispatcher,
            runtime=runtime,
            node=NODE,
            lease_s=30.0,
            log_limit_bytes=100_000,
            cancel_grace_s=3.0,
            defaults=defaults,
        )
        worker.start()
        made.append(worker)
        return worker

    yield make
    for worker in made:
        worker.close()
