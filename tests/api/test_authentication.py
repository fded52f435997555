"""Where authentication is on, only users are let in, and what they submit is theirs."""

import re
from base64 import b64encode
from collections.abc import Callable, Iterator

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.store.stores import CuttableDatabase
from tork_celery.api import create_app
from tork_celery.api.authentication import OPEN
from tork_celery.api.context import ApiContext
from tork_celery.domain.user import NewUser
from tork_celery.services import users
from tork_celery.services.authentication import Authenticator
from tork_celery.services.context import ServiceContext

JOB = {"name": "a job", "tasks": [{"name": "say hello", "image": "busybox", "run": "echo hello"}]}

MakeClient = Callable[..., FlaskClient]


@pytest.fixture
def client_with(context: ServiceContext, database: CuttableDatabase) -> MakeClient:
    """A client of an API that takes these schemes."""
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


def test_every_route_but_the_open_ones_asks_who_is_there(client_with: MakeClient) -> None:
    client = client_with("basic", "key")
    answers = {(method, path): client.open(path, method=method) for method, path in routes(client)}

    assert len(answers) > 20
    let_in = {path for (_, path), answer in answers.items() if answer.status_code != 401}
    assert let_in == {path for _, path in answers if path in OPEN}
    assert "/health" in let_in


def test_a_refusal_names_the_ways(client_with: MakeClient) -> None:
    answer = client_with("basic", "key").get("/jobs")

    assert answer.status_code == 401
    assert answer.headers.getlist("WWW-Authenticate") == [
        'Basic realm="tork", charset="UTF-8"',
        'Bearer realm="tork"',
    ]
    assert "the header Authorization is missing" in answer.json["message"]


def test_what_is_not_there_is_not_told_to_strangers(client_with: MakeClient) -> None:
    assert client_with("basic").get("/nothing").status_code == 401


@pytest.mark.covers("User.password")
def test_a_user_is_let_in_by_the_password(client_with: MakeClient) -> None:
    assert client_with("basic").get("/jobs", headers=ADA).status_code == 200


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
def test_everybody_else_is_not(client_with: MakeClient, header: dict[str, str]) -> None:
    answer = client_with("basic", "key").get("/jobs", headers=header)

    assert answer.status_code == 401, answer.text
    assert answer.json["message"]


def test_a_user_is_let_in_by_the_key_alone(client_with: MakeClient, database: CuttableDatabase) -> None:
    key = users.new_key(database, "ada")
    client = client_with("key")

    assert client.get("/jobs", headers={"Authorization": f"Bearer {key}"}).status_code == 200
    refused = client.get("/jobs", headers=ADA)
    assert (refused.status_code, refused.json) == (
        401,
        {"message": "the API is set to take key, not basic"},
    )


def test_who_is_disabled_is_let_in_no_more(client_with: MakeClient, database: CuttableDatabase) -> None:
    client, key = client_with("basic", "key"), users.new_key(database, "ada")
    bearer = {"Authorization": f"Bearer {key}"}
    assert client.get("/jobs", headers=ADA).status_code == 200

    users.set_disabled(database, "ada", disabled=True)

    assert client.get("/jobs", headers=ADA).status_code == 401
    assert client.get("/jobs", headers=bearer).status_code == 401


def test_a_changed_password_counts_at_once(client_with: MakeClient, database: CuttableDatabase) -> None:
    client = client_with("basic")
    assert client.get("/jobs", headers=ADA).status_code == 200

    users.set_password(database, "ada", "other")

    assert client.get("/jobs", headers=ADA).status_code == 401
    assert client.get("/jobs", headers=basic("ada", "other")).status_code == 200


@pytest.mark.parametrize(("route", "body"), [("/jobs", JOB), ("/task", JOB["tasks"][0])])  # type: ignore[index]
def test_a_job_names_its_creator(client_with: MakeClient, route: str, body: object) -> None:
    client = client_with("basic")

    assert client.post(route, json=body, headers=ADA).status_code == 200

    [job] = client.get("/jobs", headers=ADA).json["items"]
    assert job["createdBy"] == {"username": "ada"}


@pytest.mark.covers("ScheduledJobSummary.createdBy")
def test_a_scheduled_job_names_its_creator(client_with: MakeClient) -> None:
    client = client_with("basic")

    made = client.post("/scheduled-jobs", json={**JOB, "schedule": {"cron": "@daily"}}, headers=ADA).json

    assert made["createdBy"] == {"username": "ada"}


def test_without_authentication_nobody_is_named(client: FlaskClient) -> None:
    created: TestResponse = client.post("/jobs", json=JOB, headers=ADA)

    assert "createdBy" not in created.json


def test_a_datastore_that_is_away_lets_nobody_in(client_with: MakeClient, database: CuttableDatabase) -> None:
    client = client_with("basic")
    database.away = True

    assert client.get("/jobs", headers=ADA).status_code == 503
