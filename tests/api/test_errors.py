"""Every error is a JSON document with a message, without internal details."""

from collections.abc import Sequence

import pytest
from flask.testing import FlaskClient

from tests.api.documents import document
from tests.services.fakes import FakeDispatcher
from tests.store.stores import FlakyDatabase
from tork_celery.api import create_app
from tork_celery.api.context import ApiContext
from tork_celery.domain.model import Task
from tork_celery.services.context import ServiceContext


@pytest.mark.parametrize("route", ["/", "/nothing", "/jobs/a/b/c", "/task"])
def test_error_of_an_unknown_route_is_json(client: FlaskClient, route: str) -> None:
    response = client.get(route)

    assert response.status_code in (404, 405)
    assert set(document(response)) == {"message"}


def test_unknown_route_is_404(client: FlaskClient) -> None:
    assert client.get("/nothing").status_code == 404


@pytest.mark.parametrize(("method", "route"), [("DELETE", "/jobs"), ("GET", "/task"), ("POST", "/health")])
def test_wrong_method_is_405(client: FlaskClient, method: str, route: str) -> None:
    response = client.open(route, method=method)

    assert response.status_code == 405
    assert set(document(response)) == {"message"}


@pytest.mark.parametrize(
    "route", ["/jobs", "/jobs/x", "/task/x", "/task/x/log", "/jobs/x/log", "/nodes", "/queues"]
)
def test_unavailable_datastore_is_503(client: FlaskClient, database: FlakyDatabase, route: str) -> None:
    database.down = True

    response = client.get(route)

    assert (response.status_code, document(response)) == (503, {"message": "the datastore is away"})


@pytest.mark.parametrize(
    ("route", "status"),
    [
        ("/jobs/%00", 404),
        ("/task/a%00", 404),
        ("/tasks/%00/log", 404),
        ("/scheduled-jobs/%00", 404),
        ("/jobs?q=tag:%00", 400),
    ],
)
def test_nul_character_is_rejected(client: FlaskClient, route: str, status: int) -> None:
    response = client.get(route)

    assert response.status_code == status
    assert "the character NUL" in document(response)["message"]


def test_internal_error_shows_no_details(database: FlakyDatabase) -> None:
    class Buggy(FakeDispatcher):
        def send_all(self, tasks: Sequence[Task]) -> None:
            del tasks
            raise ZeroDivisionError("the secret inside")

    context = ServiceContext(database=database, dispatcher=Buggy(), lease_s=10.0)
    client = create_app(ApiContext(services=context, body_limit_bytes=1000)).test_client()

    response = client.post("/task", json={"name": "x", "image": "y"})

    assert response.status_code == 500
    assert document(response) == {"message": "internal error; see the server's log"}
