"""A step under way in a thread of its own."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from tests.worker.fakes import PATIENCE_S, FakeRuntime
from tork_celery.domain.model import StepRef
from tork_celery.worker.worker import ChainAction, Worker


@contextmanager
def at_work(worker: Worker, runtime: FakeRuntime, ref: StepRef) -> Iterator[Future[ChainAction]]:
    """A step that holds, once it has started; it is finished at the end unless something ended it before."""
    with ThreadPoolExecutor(1) as pool:
        verdict = pool.submit(worker.run, ref)
        try:
            assert runtime.at_work.wait(PATIENCE_S)
            yield verdict
        finally:
            runtime.finish(ref)
