"""Credentials come from environment variables, or from the URL."""

from base64 import b64encode

import pytest
from requests import PreparedRequest, Request, Session

from tork_celery.cli.credentials import credentials, without_credentials


def authorization(environment: dict[str, str], url: str = "http://127.0.0.1/jobs") -> str | None:
    """Return the header Authorization of a request."""
    session = Session()
    session.auth = credentials(environment)
    prepared: PreparedRequest = session.prepare_request(Request("GET", url))
    header = prepared.headers.get("Authorization")
    return header.decode() if isinstance(header, bytes) else header


def basic(text: str) -> str:
    return "Basic " + b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("environment", "header"),
    [
        ({}, None),
        ({"TORK_KEY": "k"}, "Bearer k"),
        ({"TORK_USER": "ada", "TORK_PASSWORD": "ü:"}, basic("ada:ü:")),
        ({"TORK_USER": "ada"}, basic("ada:")),
        ({"TORK_KEY": "k", "TORK_USER": "ada", "TORK_PASSWORD": "p"}, "Bearer k"),
    ],
)
def test_credentials_come_from_the_environment(environment: dict[str, str], header: str | None) -> None:
    assert authorization(environment) == header


def test_url_credentials_are_the_fallback() -> None:
    assert authorization({}, "http://ada:p@127.0.0.1/jobs") == basic("ada:p")


def test_credentials_are_removed_from_a_shown_url() -> None:
    assert without_credentials("http://ada:p@127.0.0.1:3000/x") == "http://127.0.0.1:3000/x"
    assert without_credentials("http://127.0.0.1:3000") == "http://127.0.0.1:3000"
