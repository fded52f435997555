from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import cast

import pytest
from structlog.testing import capture_logs

from tests.eventually import eventually
from tork_celery.domain.backoff import Backoff
from tork_celery.domain.errors import EngineUnavailable
from tork_celery.runtime.docker import sandbox_pool
from tork_celery.runtime.docker.cleanup_queue import CleanupQueue
from tork_celery.runtime.docker.network_files import NetworkFiles
from tork_celery.runtime.docker.sandbox_factory import Sandbox, SandboxesRefused, SandboxFactory
from tork_celery.runtime.docker.sandbox_pool import SandboxPool


@dataclass(slots=True)
class FakeFactory:
    """A factory whose `errors` are raised by the next creations."""

    errors: list[Exception] = field(default_factory=list)
    running: set[str] = field(default_factory=set)
    checked: int = 0

    def create(self, name: str) -> Sandbox:
        if self.errors:
            raise self.errors.pop(0)
        self.running.add(name)
        return Sandbox(id=name, name=name, pid=1, visible=False, files=NetworkFiles({}))

    def check(self, sandbox: Sandbox) -> None:
        assert sandbox.name in self.running
        self.checked += 1

    def is_running(self, sandbox: Sandbox) -> bool:
        return sandbox.name in self.running

    def remove(self, name: str) -> None:
        self.running.discard(name)

    def unjoined(self) -> Iterator[tuple[str, Mapping[str, str]]]:
        return iter(())


@pytest.fixture
def factory() -> FakeFactory:
    return FakeFactory()


@pytest.fixture
def pool(factory: FakeFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxPool]:
    """The pool of a node with two slots."""
    monkeypatch.setattr(sandbox_pool, "_BACKOFF", Backoff(first_s=0.01, longest_s=0.01))
    with closing(CleanupQueue(threads=1)) as queue:
        pool = SandboxPool(factory=cast("SandboxFactory", factory), cleanup_queue=queue, slots=2)
        with closing(pool):
            yield pool


def is_ready(pool: SandboxPool, *, size: int = 2) -> Callable[[], bool]:
    return lambda: len(pool._idle) == size


def test_pool_begins_with_one_sandbox_and_a_spare_one(pool: SandboxPool, factory: FakeFactory) -> None:
    pool.start()

    eventually(is_ready(pool))
    assert factory.checked == 1
    assert len(factory.running) == 2


def test_each_task_that_finds_none_ready_adds_one_up_to_one_for_each_slot(
    pool: SandboxPool, factory: FakeFactory
) -> None:
    pool.start()
    eventually(is_ready(pool))
    taken = [sandbox for _ in range(10) if (sandbox := pool.take()) is not None]

    for sandbox in taken:
        pool.put_back(sandbox)

    eventually(is_ready(pool, size=3))
    assert len(factory.running) == 3


def test_none_is_made_before_the_start(pool: SandboxPool, factory: FakeFactory) -> None:
    assert pool.take() is None
    assert not factory.running


def test_discarded_and_lost_sandboxes_are_replaced(pool: SandboxPool, factory: FakeFactory) -> None:
    pool.start()
    eventually(is_ready(pool))
    taken = pool.take()
    assert taken is not None
    factory.running.clear()

    pool.discard(taken)
    assert pool.take() is None

    eventually(is_ready(pool, size=3))
    assert taken.name not in {sandbox.name for sandbox in pool._idle}


def test_taken_sandbox_is_taken_again_after_it_was_put_back(pool: SandboxPool) -> None:
    pool.start()
    eventually(is_ready(pool))
    taken = [pool.take() for _ in range(2)]
    assert None not in taken
    assert pool.take() is None

    pool.put_back(cast("Sandbox", taken[1]))

    assert pool.take() == taken[1]


def test_outage_of_the_engine_is_survived(pool: SandboxPool, factory: FakeFactory) -> None:
    factory.errors = [EngineUnavailable("away"), EngineUnavailable("away"), ValueError("a bug")]

    with capture_logs() as logged:
        pool.start()
        eventually(is_ready(pool))

    assert [entry["event"] for entry in logged] == ["sandbox.failed", "sandbox.failed", "sandbox.broken"]


def test_refusal_turns_sandboxes_off(pool: SandboxPool, factory: FakeFactory) -> None:
    factory.errors = [SandboxesRefused("not here")]

    with capture_logs() as logged:
        pool.start()
        eventually(lambda: pool._thread is not None and not pool._thread.is_alive())
        pool.start()

    assert [(entry["event"], entry["reason"]) for entry in logged] == [("sandboxes.off", "not here")]
    assert pool.take() is None


def test_close_removes_idle_sandboxes_and_those_that_are_put_back_later(
    pool: SandboxPool, factory: FakeFactory
) -> None:
    pool.start()
    eventually(is_ready(pool))
    taken = pool.take()
    assert taken is not None

    pool.close()
    eventually(lambda: factory.running == {taken.name})
    pool.put_back(taken)

    eventually(lambda: not factory.running)
