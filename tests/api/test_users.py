"""Routes of users."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.api.documents import document
from tests.store.stores import FlakyDatabase
from tork_celery.services import users

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
        ({"username": "ada", "password": 5}, "password: expected a string, got the number 5"),
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
