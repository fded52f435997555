"""Users are added through the API."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.store.stores import CuttableDatabase
from tork_celery.services import users

ADA = {"username": "ada", "password": "s3cret", "name": "Ada L."}


@pytest.mark.covers(
    "User.username", "User.name", "UserAnswer.username", "UserAnswer.name", "UserAnswer.createdAt"
)
def test_a_user_is_added(client: FlaskClient, database: CuttableDatabase) -> None:
    answer = client.post("/users", json=ADA)

    assert answer.status_code == 200, answer.text
    assert {key: answer.json[key] for key in ("username", "name")} == {"username": "ada", "name": "Ada L."}
    assert set(answer.json) == {"username", "name", "createdAt"}
    assert [user.username for user in users.everybody(database)] == ["ada"]


def test_the_body_may_be_yaml(client: FlaskClient) -> None:
    answer = client.post("/users", data="username: ada\npassword: s3cret", content_type="text/yaml")

    assert (answer.status_code, answer.json["name"]) == (200, "ada")


def test_a_taken_name_is_refused(client: FlaskClient) -> None:
    client.post("/users", json=ADA)

    answer = client.post("/users", json=ADA)

    assert (answer.status_code, answer.json) == (400, {"message": "username: 'ada' is taken"})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "expected a mapping with `username` and `password`, got a list"),
        ({}, "username: required"),
        ({"username": "ada"}, "password: required"),
        ({"username": "ada", "password": ""}, "password: required"),
        ({"username": "ada", "password": 5}, "password: expected a string, got the number 5"),
        ({"username": "a b", "password": "p"}, "username: 'a b' is no name"),
        ({"username": "ada", "password": "p" * 1025}, "password: longer than 1024 characters"),
        ({"username": "ada", "password": "p", "role": "admin"}, "role: unknown key"),
        ({"username": "ada\x00", "password": "p"}, "username: must not contain the character U+0000"),
        ({"username": "ada", "password": "p", "name": "n" * 257}, "name: longer than 256 characters"),
    ],
)
def test_bad_input_is_refused_with_its_place(
    client: FlaskClient, database: CuttableDatabase, body: Any, said: str
) -> None:
    answer = client.post("/users", json=body)

    assert answer.status_code == 400
    assert said in answer.json["message"]
    assert users.everybody(database) == []
