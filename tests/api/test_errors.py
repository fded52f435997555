"""Whatever goes wrong, the answer is JSON that says what a client may know."""

import pytest
from flask.testing import FlaskClient

from tests.services.fakes import FakeDispatcher
from tests.store.stores import CuttableDatabase
from tork_celery.api import create_app
from tork_celery.api.context import ApiContext
from tork_celery.domain.model import Task
from tork_celery.services.context import ServiceContext


@pytest.mark.parametrize("route", ["/", "/nothing", "/jobs/a/b/c", "/tasks"])
def test_an_unknown_route_is_not_found(client: FlaskClient, route: str) -> None:
    answer = client.get(route)

    assert answer.status_code in (404, 405)
    assert set(answer.json) == {"message"}


def test_a_route_that_is_not_there_says_404(client: FlaskClient) -> None:
    assert client.get("/nothing").status_code == 404


@pytest.mark.parametrize(("method", "route"), [("DELETE", "/jobs"), ("GET", "/task"), ("POST", "/health")])
def test_a_wrong_method_is_refused(client: FlaskClient, method: str, route: str) -> None:
    answer = client.open(route, method=method)

    assert answer.status_code == 405
    assert set(answer.json) == {"message"}


@pytest.mark.parametrize(
    "route", ["/jobs", "/jobs/x", "/task/x", "/task/x/log", "/jobs/x/log", "/nodes", "/queues"]
)
def test_a_datastore_that_is_away_is_said(
    client: FlaskClient, database: CuttableDatabase, route: str
) -> None:
    database.away = True

    answer = client.get(route)

    assert (answer.status_code, answer.json) == (503, {"message": "the datastore is away"})


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
def test_nul_is_refused_before_a_datastore_chokes_on_it(client: FlaskClient, route: str, status: int) -> None:
    answer = client.get(route)

    assert answer.status_code == status
    assert "the character NUL" in answer.json["message"]


def test_a_bug_is_not_shown_to_clients(database: CuttableDatabase) -> None:
    class Buggy(FakeDispatcher):
        def send(self, task: Task, *, delay_s: float = 0.0) -> None:
            del task, delay_s
            raise ZeroDivisionError("the secret inside")

    context = ServiceContext(database=database, dispatcher=Buggy(), lease_s=10.0)
    client = create_app(ApiContext(services=context, body_limit_bytes=1000)).test_client()

    answer = client.post("/task", json={"name": "x", "image": "y"})

    assert answer.status_code == 500
    assert answer.json == {"message": "internal error; the server's log says more"}
