"""Authentication by password and by key; jobs show the user who created them."""

import re
from base64 import b64encode
from collections.abc import Callable, Iterator

import pytest
from flask.testing import FlaskClient

from tests.api.documents import document
from tests.store.stores import FlakyDatabase
from tork_celery.api import create_app
from tork_celery.api.authentication import PUBLIC_ROUTES
from tork_celery.api.context import ApiContext
from tork_celery.domain.user import NewUser
from tork_celery.services import users
from tork_celery.services.authentication import Authenticator
from tork_celery.services.context import ServiceContext

JOB = {"name": "a job", "tasks": [{"name": "say hello", "image": "busybox", "run": "echo hello"}]}

MakeClient = Callable[..., FlaskClient]


@pytest.fixture
def make_client(context: ServiceContext, database: FlakyDatabase) -> MakeClient:
    """Return a function that makes a client of an API with these authentication schemes."""
    users.add(database, NewUser(username="ada", password="s3cret:ü"))

    def make(*schemes: str) -> FlaskClient:
        authenticator = Authenticator(database, schemes=schemes)
        api = ApiContext(services=context, body_limit_bytes=1_000_000, authenticator=authenticator)
        return create_app(api).test_client()

    return make


def basic(username: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{username}:{password}".encode()).decode()}


ADA = basic("ada", "s3cret:ü")


def routes(client: FlaskClient) -> Iterator[tuple[str, str]]:
    for rule in client.application.url_map.iter_rules():
        for method in (rule.methods or set()) - {"OPTIONS"}:
            yield method, re.sub(r"<[^>]+>", "x", rule.rule)


def test_all_but_public_routes_require_authentication(make_client: MakeClient) -> None:
    client = make_client("basic", "key")
    responses = {(method, path): client.open(path, method=method) for method, path in routes(client)}

    assert len(responses) > 20
    public = {path for (_, path), response in responses.items() if response.status_code != 401}
    assert public == {path for _, path in responses if path in PUBLIC_ROUTES}
    assert "/health" in public


def test_unauthorized_response_names_the_schemes(make_client: MakeClient) -> None:
    response = make_client("basic", "key").get("/jobs")

    assert response.status_code == 401
    assert response.headers.getlist("WWW-Authenticate") == [
        'Basic realm="tork", charset="UTF-8"',
        'Bearer realm="tork"',
    ]
    assert "the header Authorization is missing" in document(response)["message"]


def test_unknown_route_requires_authentication(make_client: MakeClient) -> None:
    assert make_client("basic").get("/nothing").status_code == 401


@pytest.mark.covers("User.password")
def test_user_is_authenticated_by_password(make_client: MakeClient) -> None:
    assert make_client("basic").get("/jobs", headers=ADA).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        basic("ada", "wrong"),
        basic("bob", "s3cret:ü"),
        basic("", ""),
        basic("ada\x00", "s3cret:ü"),
        basic("ada", "x" * 5000),
        {"Authorization": "Basic ???"},
        {"Authorization": "Basic"},
        {"Authorization": ""},
        {"Authorization": "Basic /////w=="},
        {"Authorization": "Bearer tork_x"},
        {"Authorization": "Bearer"},
        {"Authorization": "Digest username=ada"},
        {"Authorization": "\xff\xfe"},
    ],
)
def test_invalid_credentials_are_rejected(make_client: MakeClient, header: dict[str, str]) -> None:
    response = make_client("basic", "key").get("/jobs", headers=header)

    assert response.status_code == 401, response.text
    assert document(response)["message"]


def test_password_is_rejected_when_only_keys_are_allowed(
    make_client: MakeClient, database: FlakyDatabase
) -> None:
    key = users.new_key(database, "ada")
    client = make_client("key")

    assert client.get("/jobs", headers={"Authorization": f"Bearer {key}"}).status_code == 200
    rejected = client.get("/jobs", headers=ADA)
    assert (rejected.status_code, document(rejected)) == (
        401,
        {"message": "the API accepts authentication by key, not by basic"},
    )


def test_disabled_user_is_rejected(make_client: MakeClient, database: FlakyDatabase) -> None:
    client, key = make_client("basic", "key"), users.new_key(database, "ada")
    bearer = {"Authorization": f"Bearer {key}"}
    assert client.get("/jobs", headers=ADA).status_code == 200

    users.set_disabled(database, "ada", disabled=True)

    assert client.get("/jobs", headers=ADA).status_code == 401
    assert client.get("/jobs", headers=bearer).status_code == 401


def test_changed_password_takes_effect_at_once(make_client: MakeClient, database: FlakyDatabase) -> None:
    client = make_client("basic")
    assert client.get("/jobs", headers=ADA).status_code == 200

    users.set_password(database, "ada", "other")

    assert client.get("/jobs", headers=ADA).status_code == 401
    assert client.get("/jobs", headers=basic("ada", "other")).status_code == 200


def test_guessing_is_429_and_other_users_are_unaffected(
    make_client: MakeClient, database: FlakyDatabase
) -> None:
    users.add(database, NewUser(username="bob", password="p"))
    client = make_client("basic")

    statuses = [client.get("/jobs", headers=basic("ada", f"guess {n}")).status_code for n in range(5)]

    assert statuses == [401, 401, 401, 429, 429]
    rejected = client.get("/jobs", headers=ADA)
    assert (rejected.status_code, rejected.headers["Retry-After"]) == (429, "1")
    assert "too many wrong passwords" in document(rejected)["message"]
    assert client.get("/jobs", headers=basic("bob", "p")).status_code == 200


def test_user_who_has_logged_in_is_not_delayed_by_guesses(make_client: MakeClient) -> None:
    client = make_client("basic")
    assert client.get("/jobs", headers=ADA).status_code == 200

    statuses = [client.get("/jobs", headers=basic("ada", f"guess {n}")).status_code for n in range(4)]

    assert statuses == [401, 401, 401, 429]
    assert client.get("/jobs", headers=ADA).status_code == 200


def test_key_is_not_delayed_by_guesses(make_client: MakeClient, database: FlakyDatabase) -> None:
    client, key = make_client("basic", "key"), users.new_key(database, "ada")
    for number in range(4):
        client.get("/jobs", headers=basic("ada", f"guess {number}"))

    assert client.get("/jobs", headers={"Authorization": f"Bearer {key}"}).status_code == 200


@pytest.mark.parametrize(("route", "body"), [("/jobs", JOB), ("/task", JOB["tasks"][0])])
def test_job_shows_its_creator(make_client: MakeClient, route: str, body: object) -> None:
    client = make_client("basic")

    assert client.post(route, json=body, headers=ADA).status_code == 200

    [job] = document(client.get("/jobs", headers=ADA))["items"]
    assert job["createdBy"] == {"username": "ada"}


@pytest.mark.covers("ScheduledJobSummary.createdBy")
def test_scheduled_job_shows_its_creator(make_client: MakeClient) -> None:
    client = make_client("basic")

    schedule = document(
        client.post("/scheduled-jobs", json={**JOB, "schedule": {"cron": "@daily"}}, headers=ADA)
    )

    assert schedule["createdBy"] == {"username": "ada"}


def test_job_has_no_creator_without_authentication(client: FlaskClient) -> None:
    response = client.post("/jobs", json=JOB, headers=ADA)

    assert "createdBy" not in document(response)


def test_unavailable_datastore_is_503_for_authenticated_requests(
    make_client: MakeClient, database: FlakyDatabase
) -> None:
    client = make_client("basic")
    database.down = True

    assert client.get("/jobs", headers=ADA).status_code == 503
