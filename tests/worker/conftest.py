from collections.abc import Iterator

import pytest

from tests.services.fakes import FakeDispatcher
from tests.store.stores import FlakyDatabase, database
from tests.worker.fakes import NODE, MakeWorker
from tork_celery.domain.definition import Defaults
from tork_celery.runtime.protocol import Runtime
from tork_celery.worker.disk_guard import DiskLimits
from tork_celery.worker.host_environment import HostEnvironment
from tork_celery.worker.worker import Worker

__all__ = ["database"]


@pytest.fixture
def dispatcher() -> FakeDispatcher:
    return FakeDispatcher()


@pytest.fixture
def make_worker(database: FlakyDatabase, dispatcher: FakeDispatcher) -> Iterator[MakeWorker]:
    """Make workers of the node NODE on a given runtime, and close them after the test."""
    workers: list[Worker] = []

    def make(
        runtime: Runtime,
        *,
        defaults: Defaults | None = None,
        engine_wait_s: float = 3600.0,
        cleanup_interval_s: float = 3600.0,
        disk_limits: DiskLimits | None = None,
        host_env: HostEnvironment | None = None,
        start: bool = True,
    ) -> Worker:
        worker = Worker(
            node=NODE,
            database=database,
            dispatcher=dispatcher,
            runtime=runtime,
            lease_s=30.0,
            log_limit_bytes=100_000,
            cancel_grace_s=3.0,
            defaults=defaults,
            engine_wait_s=engine_wait_s,
            cleanup_interval_s=cleanup_interval_s,
            disk_limits=disk_limits,
            host_env=host_env,
        )
        if start:
            worker.start()
        workers.append(worker)
        return worker

    yield make
    for worker in workers:
        worker.close()
