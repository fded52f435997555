from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.services.fakes import FakeDispatcher
from tests.store.stores import FlakyDatabase, database
from tork_celery.api import create_app
from tork_celery.api.context import ApiContext
from tork_celery.services.context import ServiceContext
from tork_celery.store import job_pages

__all__ = ["database"]

BODY_LIMIT_BYTES = 1024 * 1024


@pytest.fixture
def dispatcher() -> FakeDispatcher:
    return FakeDispatcher()


@pytest.fixture
def context(database: FlakyDatabase, dispatcher: FakeDispatcher) -> ServiceContext:
    return ServiceContext(database=database, dispatcher=dispatcher, lease_s=10.0)


@pytest.fixture
def client(context: ServiceContext) -> FlaskClient:
    return create_app(ApiContext(services=context, body_limit_bytes=BODY_LIMIT_BYTES)).test_client()


@pytest.fixture
def submit(client: FlaskClient) -> Callable[..., Any]:
    """Return a function that posts a document and returns the document of the response."""

    def post(route: str, document: Any) -> Any:
        response = client.post(route, json=document)
        assert response.status_code == 200, response.text
        return response.json

    return post


@pytest.fixture
def stored_jobs(database: FlakyDatabase) -> Callable[[], int]:
    """Return a function that counts the stored jobs."""

    def count() -> int:
        with database.reading() as tx:
            return job_pages.page(tx, number=1, size=1)[1]

    return count
