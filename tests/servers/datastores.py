"""PostgreSQL for tests: one server per session, emptied before each test."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from sqlalchemy import text

from tests.store.stores import delete_all
from tork_celery.domain.errors import ConfigurationError
from tork_celery.store import Database, schema_version
from tork_celery.store.migration import migrate


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """Run a PostgreSQL server for the session and return its URL."""
    from scripts import servers  # noqa: PLC0415  most tests run without a server

    with servers.postgresql() as url:
        yield url


@contextmanager
def temporary_database(server_url: str) -> Iterator[str]:
    """Create an empty database on the server, yield its URL, and drop the database."""
    import psycopg  # noqa: PLC0415

    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE temporary")
        try:
            yield f"{server_url.rpartition('/')[0]}/temporary"
        finally:
            connection.execute("DROP DATABASE temporary WITH (FORCE)")


@pytest.fixture
def postgresql_url(postgresql_server: str) -> str:
    """Return the URL of an empty, migrated database."""
    with closing(Database.connect(postgresql_server)) as database:
        try:
            schema_version.check(database)
        except ConfigurationError:  # a new server, or an earlier test has changed the schema
            _recreate_schema(database)
        with database.transaction() as tx:  # faster than a new database or schema
            delete_all(tx)
    return postgresql_server


def _recreate_schema(database: Database) -> None:
    with database.transaction() as tx:
        tx.execute(text("DROP SCHEMA public CASCADE"))
        tx.execute(text("CREATE SCHEMA public"))
    migrate(database)
