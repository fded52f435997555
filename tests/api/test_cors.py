"""Pages of other web sites may call the API when TORK_CORS_ORIGINS allows their origin."""

import pytest
from flask.testing import FlaskClient

from tork_celery.api import create_app
from tork_celery.api.context import ApiContext
from tork_celery.services.authentication import Authenticator
from tork_celery.services.context import ServiceContext

ALLOWED, OTHER = "http://web.example.com:8080", "http://evil.example.com"


def make_client(context: ServiceContext, *origins: str) -> FlaskClient:
    api = ApiContext(
        services=context,
        body_limit_bytes=1000,
        cors_origins=origins,
        authenticator=Authenticator(context.database, schemes=("basic",)),
    )
    return create_app(api).test_client()


@pytest.mark.parametrize(
    ("origins", "origin", "allow_origin"),
    [
        ((ALLOWED,), ALLOWED, ALLOWED),
        ((ALLOWED,), OTHER, None),
        ((ALLOWED, OTHER), OTHER, OTHER),
        (("http://web.example.com",), "http://webXexample.com", None),
        (("*",), OTHER, "*"),
        ((), ALLOWED, None),
    ],
)
def test_only_configured_origins_are_allowed(
    context: ServiceContext, origins: tuple[str, ...], origin: str, allow_origin: str | None
) -> None:
    response = make_client(context, *origins).get("/health", headers={"Origin": origin})

    assert response.headers.get("Access-Control-Allow-Origin") == allow_origin


def test_preflight_request_needs_no_credentials(context: ServiceContext) -> None:
    headers = {
        "Origin": ALLOWED,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "Authorization, Content-Type",
    }

    response = make_client(context, ALLOWED).options("/jobs/x/cancel", headers=headers)

    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == ALLOWED
    assert "PUT" in response.headers["Access-Control-Allow-Methods"]
    assert response.headers["Access-Control-Allow-Headers"].lower() == "authorization, content-type"
    assert response.headers["Access-Control-Max-Age"] == "600"


def test_unauthorized_response_is_readable_by_an_allowed_page(context: ServiceContext) -> None:
    response = make_client(context, ALLOWED).get("/jobs", headers={"Origin": ALLOWED})

    assert response.status_code == 401
    assert response.headers["Access-Control-Allow-Origin"] == ALLOWED


def test_stored_credentials_are_not_allowed_for_the_wildcard(context: ServiceContext) -> None:
    named = make_client(context, ALLOWED).get("/health", headers={"Origin": ALLOWED})
    wildcard = make_client(context, "*").get("/health", headers={"Origin": ALLOWED})

    assert named.headers.get("Access-Control-Allow-Credentials") == "true"
    assert wildcard.headers.get("Access-Control-Allow-Credentials") is None
