from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.stores import FlakyDatabase, open_database, sqlite_url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FlakyDatabase]:
    """Open an empty, migrated datastore. Tests of the store run on SQLite and on PostgreSQL."""
    url = sqlite_url(tmp_path) if request.param == "sqlite" else request.getfixturevalue("postgresql_url")
    with open_database(url) as opened:
        yield opened
