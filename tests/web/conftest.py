import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from tests.store.stores import FlakyDatabase, database
from tests.web.page_server import page_app
from tork_celery.domain.user import NewUser
from tork_celery.services import users

__all__ = ["database"]


@pytest.fixture
def client(database: FlakyDatabase) -> FlaskClient:
    """A browser of an installation without authentication."""
    return page_app(database).test_client()


@pytest.fixture
def guarded_client(database: FlakyDatabase) -> FlaskClient:
    """A browser of an installation with the users ada, an admin, and eve."""
    for username, roles in {"ada": ["admin"], "eve": []}.items():
        users.add(database, NewUser(username=username, password="p"), roles=roles)
    return page_app(database, authenticated=True).test_client()


def token_of(client: FlaskClient, path: str = "/ui/new") -> str:
    """Return the CSRF token of a browser."""
    found = re.search('name="csrf" content="([^"]+)"', client.get(path).text)
    assert found is not None
    return found[1]


@pytest.fixture
def sign_in(guarded_client: FlaskClient) -> Callable[..., int]:
    """Return a function that signs in and returns the status of the response."""

    def post(username: str, password: str = "p") -> int:
        token = token_of(guarded_client, "/ui/sign-in")
        form = {"csrf": token, "username": username, "password": password, "next": "/ui"}
        return guarded_client.post("/ui/sign-in", data=form).status_code

    return post
