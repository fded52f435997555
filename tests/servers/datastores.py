"""PostgreSQL for tests: one server a session, emptied for each test."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest
from sqlalchemy import text

from scripts import servers
from tests.store.stores import delete_all
from tork_celery.domain.errors import ConfigurationError
from tork_celery.store import Database, schema_version
from tork_celery.store.migration import migrate


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a server that runs while the session lasts."""
    with servers.postgresql() as url:
        yield url


@contextmanager
def a_database(server_url: str) -> Iterator[str]:
    """The URL of an empty database on the server, which goes with the context."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE another")
        try:
            yield f"{server_url.rpartition('/')[0]}/another"
        finally:
            connection.execute("DROP DATABASE another WITH (FORCE)")


@pytest.fixture
def postgresql_url(postgresql_server: str) -> str:
    """The URL of a migrated database without a row in it."""
    with closing(Database.connect(postgresql_server)) as database:
        try:
            schema_version.check(database)
        except ConfigurationError:  # it is new, or the test before has changed the schema
            _make_anew(database)
        with database.transaction() as tx:  # several times as fast as a new database or schema
            delete_all(tx)
    return postgresql_server


def _make_anew(database: Database) -> None:
    with database.transaction() as tx:
        tx.execute(text("DROP SCHEMA public CASCADE"))
        tx.execute(text("CREATE SCHEMA public"))
    migrate(database)
