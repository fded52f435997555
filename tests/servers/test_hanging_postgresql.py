"""A PostgreSQL server that is frozen makes calls fail within seconds, and a slow query does not."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import text

from scripts import servers
from scripts.server_process import Server
from tests.eventually import eventually
from tests.servers.freezing import frozen
from tork_celery.domain.errors import DatastoreUnavailable
from tork_celery.store import Database, hang_detector
from tork_celery.store.migration import migrate

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with servers.running_postgresql() as server, closing(Database.connect(server.url)) as database:
        migrate(database)
        yield server


@pytest.fixture
def database(server: Server) -> Iterator[Database]:
    with closing(Database.connect(server.url, detect_hangs=True)) as database:
        yield database


def read(database: Database) -> float:
    with database.reading() as tx:
        return database.now(tx)


def test_calls_fail_while_the_server_is_frozen_and_work_afterwards(
    server: Server, database: Database
) -> None:
    read(database)

    with frozen(server):
        with pytest.raises(DatastoreUnavailable):
            read(database)
        with pytest.raises(DatastoreUnavailable, match="accepts connections but does not answer"):
            read(database)  # at once

    eventually(lambda: _answers(database))


def test_call_that_is_waiting_when_the_server_freezes_fails(server: Server, database: Database) -> None:
    errors: list[Exception] = []
    running = threading.Event()

    def query() -> None:
        try:
            with database.reading() as tx:
                tx.execute(text("SELECT 1"))
                running.set()
                tx.execute(text("SELECT pg_sleep(60)"))
        except DatastoreUnavailable as error:
            errors.append(error)

    thread = threading.Thread(target=query)
    thread.start()
    running.wait(30)
    with frozen(server):
        thread.join(30)
        assert len(errors) == 1
    eventually(lambda: _answers(database))


def test_slow_query_is_no_hang(database: Database) -> None:
    with database.reading() as tx:
        slow = text(f"SELECT pg_sleep({hang_detector.SLOW_AFTER_S + 1})")
        tx.execute(slow)
        assert read(database) > 0


def _answers(database: Database) -> bool:
    try:
        return read(database) > 0
    except DatastoreUnavailable:
        return False
