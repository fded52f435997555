"""Pages of other web sites may ask where the settings say so."""

import pytest
from flask.testing import FlaskClient

from tests.store.stores import CuttableDatabase
from tork_celery.api import create_app
from tork_celery.api.context import ApiContext
from tork_celery.services.authentication import Authenticator
from tork_celery.services.context import ServiceContext

HERE, THERE = "http://web.example.com:8080", "http://evil.example.com"


def make_client(context: ServiceContext, *origins: str) -> FlaskClient:
    api = ApiContext(
        services=context,
        body_limit_bytes=1000,
        cors_origins=origins,
        authenticator=Authenticator(context.database, schemes=("basic",)),
    )
    return create_app(api).test_client()


@pytest.mark.parametrize(
    ("allowed", "origin", "answered"),
    [
        ((HERE,), HERE, HERE),
        ((HERE,), THERE, None),
        ((HERE, THERE), THERE, THERE),
        (("http://web.example.com",), "http://webXexample.com", None),
        (("*",), THERE, "*"),
        ((), HERE, None),
    ],
)
def test_only_allowed_origins_are_answered(
    context: ServiceContext, allowed: tuple[str, ...], origin: str, answered: str | None
) -> None:
    answer = make_client(context, *allowed).get("/health", headers={"Origin": origin})

    assert answer.headers.get("Access-Control-Allow-Origin") == answered


def test_a_browser_asks_in_advance_without_credentials(context: ServiceContext) -> None:
    asked = {
        "Origin": HERE,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "Authorization, Content-Type",
    }

    answer = make_client(context, HERE).options("/jobs/x/cancel", headers=asked)

    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == HERE
    assert "PUT" in answer.headers["Access-Control-Allow-Methods"]
    assert answer.headers["Access-Control-Allow-Headers"].lower() == "authorization, content-type"
    assert answer.headers["Access-Control-Max-Age"] == "600"


def test_a_refusal_can_be_read_by_the_page(context: ServiceContext) -> None:
    answer = make_client(context, HERE).get("/jobs", headers={"Origin": HERE})

    assert answer.status_code == 401
    assert answer.headers["Access-Control-Allow-Origin"] == HERE


def test_any_origin_never_gets_what_the_browser_knows(
    context: ServiceContext, database: CuttableDatabase
) -> None:
    del database
    named = make_client(context, HERE).get("/health", headers={"Origin": HERE})
    anybody = make_client(context, "*").get("/health", headers={"Origin": HERE})

    assert named.headers.get("Access-Control-Allow-Credentials") == "true"
    assert anybody.headers.get("Access-Control-Allow-Credentials") is None
