"""Routes of users."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.api.documents import document
from tests.api.test_authentication import basic
from tests.store.stores import FlakyDatabase
from tork_celery.api import create_app
from tork_celery.api.context import ApiContext
from tork_celery.domain.user import NewUser
from tork_celery.services import users
from tork_celery.services.authentication import Authenticator
from tork_celery.services.context import ServiceContext

ADA = {"username": "ada", "password": "s3cret", "name": "Ada L."}


@pytest.mark.covers(
    "User.username", "User.name", "UserResponse.username", "UserResponse.name", "UserResponse.createdAt"
)
def test_user_is_added(client: FlaskClient, database: FlakyDatabase) -> None:
    response = client.post("/users", json=ADA)

    assert response.status_code == 200, response.text
    assert {key: document(response)[key] for key in ("username", "name")} == {
        "username": "ada",
        "name": "Ada L.",
    }
    assert set(document(response)) == {"username", "name", "createdAt"}
    assert [user.username for user in users.list_users(database)] == ["ada"]


def test_body_may_be_yaml(client: FlaskClient) -> None:
    response = client.post("/users", data="username: ada\npassword: s3cret", content_type="text/yaml")

    assert (response.status_code, document(response)["name"]) == (200, "ada")


def test_taken_name_is_rejected(client: FlaskClient) -> None:
    client.post("/users", json=ADA)

    response = client.post("/users", json=ADA)

    assert (response.status_code, document(response)) == (400, {"message": "username: 'ada' is taken"})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "expected a mapping with `username` and `password`, got a list"),
        ({}, "username: required"),
        ({"username": "ada"}, "password: required"),
        ({"username": "ada", "password": ""}, "password: required"),
        ({"username": "ada", "password": [5]}, "password: expected a string, got a list"),
        ({"username": "a b", "password": "p"}, "username: 'a b' is not a name"),
        ({"username": "ada", "password": "p" * 1025}, "password: longer than 1024 characters"),
        ({"username": "ada", "password": "p", "role": "admin"}, "role: unknown key"),
        ({"username": "ada\x00", "password": "p"}, "username: must not contain the character U+0000"),
        ({"username": "ada", "password": "p", "name": "n" * 257}, "name: longer than 256 characters"),
    ],
)
def test_invalid_user_is_rejected_with_its_path(
    client: FlaskClient, database: FlakyDatabase, body: Any, message: str
) -> None:
    response = client.post("/users", json=body)

    assert response.status_code == 400
    assert message in document(response)["message"]
    assert users.list_users(database) == []


# ---------------------------------------------------------------- with authentication

ROOT, BOB = basic("root", "s3cret"), basic("bob", "s3cret")


@pytest.fixture
def secured(context: ServiceContext, database: FlakyDatabase) -> FlaskClient:
    """Return a client of an API with authentication, an admin `root` and a user `bob`."""
    users.add(database, NewUser(username="root", password="s3cret"), roles=["admin"])
    users.add(database, NewUser(username="bob", password="s3cret"))
    authenticator = Authenticator(database, schemes=["basic", "key"])
    api = ApiContext(services=context, body_limit_bytes=1_000_000, authenticator=authenticator)
    return create_app(api).test_client()


@pytest.mark.covers("UserResponse.createdBy")
def test_added_user_shows_who_added_it(secured: FlaskClient) -> None:
    response = secured.post("/users", json=ADA, headers=ROOT)

    assert document(response)["createdBy"] == {"username": "root"}


@pytest.mark.parametrize(
    ("method", "route", "body"),
    [
        ("POST", "/users", ADA),
        ("GET", "/users", None),
        ("PUT", "/users/root", {"password": "mine"}),
        ("PUT", "/users/nobody", {"password": "mine"}),
        ("PUT", "/users/bob", {"roles": ["admin"]}),
        ("PUT", "/users/bob", {"disabled": False}),
    ],
)
def test_users_are_changed_by_admins_only(
    secured: FlaskClient, database: FlakyDatabase, method: str, route: str, body: Any
) -> None:
    before = users.list_users(database)

    response = secured.open(route, method=method, json=body, headers=BOB)

    assert (response.status_code, document(response)) == (
        403,
        {"message": "only users with the role `admin` may do this"},
    )
    assert users.list_users(database) == before


@pytest.mark.covers("UserResponse.roles", "UserResponse.disabled", "UserChange.roles", "UserChange.disabled")
def test_admin_lists_and_changes_users(secured: FlaskClient) -> None:
    change = {"roles": ["ops", "devs"], "disabled": True}

    changed = document(secured.put("/users/bob", json=change, headers=ROOT))

    assert (changed["roles"], changed["disabled"]) == (["devs", "ops"], True)
    listed = document(secured.get("/users", headers=ROOT))
    assert [user["username"] for user in listed] == ["bob", "root"]
    assert listed[0] == changed
    assert secured.get("/jobs", headers=BOB).status_code == 401


@pytest.mark.covers("UserChange.password", "UserChange.name", "UserChange.newKey", "UserResponse.key")
def test_users_change_their_own_password_name_and_key(secured: FlaskClient) -> None:
    change = {"password": "other", "name": "Bob B.", "newKey": True}

    changed = document(secured.put("/users/bob", json=change, headers=BOB))

    assert changed["name"] == "Bob B."
    bearer = {"Authorization": f"Bearer {changed['key']}"}
    assert secured.get("/jobs", headers=bearer).status_code == 200
    assert secured.get("/jobs", headers=basic("bob", "other")).status_code == 200
    assert secured.get("/jobs", headers=BOB).status_code == 401


def test_change_of_unknown_user_is_404(secured: FlaskClient) -> None:
    assert secured.put("/users/nobody", json={"name": "n"}, headers=ROOT).status_code == 404


def test_users_cannot_be_changed_without_authentication(client: FlaskClient) -> None:
    client.post("/users", json=ADA)

    response = client.put("/users/ada", json={"roles": ["admin"]})

    assert response.status_code == 403
    assert "`tork-celery users`" in document(response)["message"]
