"""Requests whose text PostgreSQL would reject do not cause a server error."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from flask.testing import FlaskClient

from tests.services.fakes import FakeDispatcher
from tork_celery.api import create_app
from tork_celery.api.context import ApiContext
from tork_celery.services.context import ServiceContext
from tork_celery.store import Database

pytestmark = pytest.mark.servers


@pytest.fixture
def client(postgresql_url: str) -> Iterator[FlaskClient]:
    with closing(Database.connect(postgresql_url)) as database:
        context = ServiceContext(database=database, dispatcher=FakeDispatcher(), lease_s=10.0)
        yield create_app(ApiContext(services=context, body_limit_bytes=1000)).test_client()


@pytest.mark.parametrize(
    ("route", "status"),
    [
        ("/jobs/%00", 404),
        ("/tasks/a%00b/log", 404),
        ("/queues/%00", 404),
        ("/scheduled-jobs/%00", 404),
        ("/jobs?q=tag:a%00b%00", 400),
        ("/jobs?q='%20%26%20!x:*", 200),
        ("/jobs?q=%F0%9F%99%82%E2%80%94", 200),
        ("/jobs?page=1000000000&q=tag:a", 200),
        ("/jobs?page=1000000000&size=20", 200),
    ],
)
def test_no_request_text_causes_a_server_error(client: FlaskClient, route: str, status: int) -> None:
    assert client.get(route).status_code == status
