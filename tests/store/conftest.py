from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.stores import CuttableDatabase, connected, sqlite_url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CuttableDatabase]:
    """A migrated datastore without a row in it: every test of the store is run on each that there is."""
    urls = {
        "sqlite": lambda: sqlite_url(tmp_path),
        "postgresql": lambda: request.getfixturevalue("postgresql_url"),
    }
    with connected(urls[request.param]()) as found:
        yield found
