"""Processes that decide about one concurrency key at once keep its limit, on SQLite and PostgreSQL."""

import threading
from collections.abc import Callable, Iterator

import pytest

from tests.domain.samples import job_definition
from tests.services.fakes import FakeDispatcher
from tests.store.stores import FlakyDatabase, open_database
from tork_celery.domain.definition import Concurrency
from tork_celery.domain.errors import WrongState
from tork_celery.services import job_control
from tork_celery.services.context import ServiceContext
from tork_celery.services.submit import submit
from tork_celery.store import Database, job_slots

LIMIT = 3
JOBS = 16
DEFINITION = job_definition(concurrency=Concurrency(key="k", limit=LIMIT))


@pytest.fixture
def contexts(database: FlakyDatabase) -> Iterator[list[ServiceContext]]:
    """Two processes on one datastore."""
    with open_database(database.engine.url.render_as_string(hide_password=False)) as other:
        yield [
            ServiceContext(database=each, dispatcher=FakeDispatcher(), lease_s=10.0)
            for each in (database, other)
        ]


def in_threads(action: Callable[[int], None], number: int) -> None:
    barrier = threading.Barrier(number)

    def run(index: int) -> None:
        barrier.wait()
        action(index)

    threads = [threading.Thread(target=run, args=[index]) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def holders(database: Database) -> list[str]:
    with database.reading() as tx:
        return list(job_slots.holders(tx, "k"))


def test_limit_holds_while_jobs_are_submitted_and_end(
    database: FlakyDatabase, contexts: list[ServiceContext]
) -> None:
    def submit_one(index: int) -> None:
        submit(contexts[index % 2], DEFINITION)

    in_threads(submit_one, JOBS)
    assert len(holders(database)) == LIMIT
    ended: list[str] = []

    def cancel_first(index: int) -> None:
        job_id = holders(database)[0]
        try:
            job_control.cancel(contexts[index % 2], job_id)
        except WrongState:  # another thread was first
            return
        ended.append(job_id)

    while len(ended) < JOBS - LIMIT - 1:  # two end in a round
        in_threads(cancel_first, 2)
        assert len(holders(database)) == LIMIT
    assert len(set(ended)) == len(ended)
