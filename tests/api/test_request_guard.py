"""Requests for foreign hosts and of foreign web pages are rejected; responses carry security headers."""

import pytest
from flask.testing import FlaskClient

from tests.api.documents import document
from tork_celery.api import create_app
from tork_celery.api.context import ApiContext
from tork_celery.services.context import ServiceContext

ALLOWED = "http://[::1]:8100"


@pytest.fixture
def guarded(context: ServiceContext) -> FlaskClient:
    api = ApiContext(
        services=context, body_limit_bytes=1000, hosts=("tork.example.com",), cors_origins=(ALLOWED,)
    )
    return create_app(api).test_client()


@pytest.mark.parametrize(
    "host",
    [
        "localhost:3000",
        "LOCALHOST",
        "127.0.0.1:3000",
        "10.1.2.3",
        "[::1]:3000",
        "[fe80::1%eth0]",
        "host.docker.internal:3000",
        "tork.example.com",
        "Tork.Example.com:8443",
    ],
)
def test_own_names_and_addresses_are_accepted(guarded: FlaskClient, host: str) -> None:
    assert guarded.get("/queues", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example.com", "evil.example.com:3000", "127.0.0.1.evil.com", "[evil]"]
)
@pytest.mark.parametrize("path", ["/health", "/jobs", "/docs", "/no/such/route"])
def test_foreign_host_gets_421_and_the_setting(guarded: FlaskClient, host: str, path: str) -> None:
    response = guarded.get(path, headers={"Host": host})

    assert response.status_code == 421
    assert "TORK_HOSTS" in document(response)["message"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "origin", ["null", "http://evil.example.com", "http://localhost:1", "http://[::2]:8100"]
)
def test_change_by_a_foreign_page_is_forbidden(guarded: FlaskClient, method: str, origin: str) -> None:
    response = guarded.open("/jobs/x/cancel", method=method, headers={"Origin": origin})

    assert response.status_code == 403
    assert "TORK_CORS_ORIGINS" in document(response)["message"]


@pytest.mark.parametrize("origin", [None, "http://localhost", "https://localhost", ALLOWED])
def test_change_without_origin_or_by_an_allowed_page_passes(guarded: FlaskClient, origin: str | None) -> None:
    headers = {} if origin is None else {"Origin": origin}

    assert guarded.put("/jobs/x/cancel", headers=headers).status_code == 404


def test_ipv6_origin_is_no_pattern(guarded: FlaskClient) -> None:
    allowed = guarded.get("/queues", headers={"Origin": ALLOWED})
    other = guarded.get("/queues", headers={"Origin": "http://:8100"})

    assert allowed.headers["Access-Control-Allow-Origin"] == ALLOWED
    assert "Access-Control-Allow-Origin" not in other.headers


@pytest.mark.parametrize("path", ["/queues", "/no/such/route", "/docs"])
def test_responses_carry_security_headers(guarded: FlaskClient, path: str) -> None:
    headers = guarded.get(path).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_docs_page_allows_only_its_own_script(guarded: FlaskClient) -> None:
    policy = guarded.get("/docs").headers["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "script-src 'sha256-" in policy
    assert "unsafe-inline" not in policy
