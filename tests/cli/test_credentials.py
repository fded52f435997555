"""Credentials come from environment variables, or from the URL."""

from base64 import b64encode

import pytest
from requests import PreparedRequest, Request, Session

from tork_celery.cli.credentials import credentials, without_credentials
from tork_celery.domain.errors import InvalidInput


def authorization(environment: dict[str, str], url: str = "http://127.0.0.1/jobs") -> str | None:
    """Return the header Authorization of a request."""
    session = Session()
    session.auth = credentials(environment, url)
    prepared: PreparedRequest = session.prepare_request(Request("GET", without_credentials(url)))
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
        ({"TORK_USER": "Ада", "TORK_PASSWORD": "😀"}, basic("Ада:😀")),
        ({"TORK_KEY": "ключ"}, "Bearer ключ"),
        ({"TORK_KEY": "k", "TORK_USER": "ada", "TORK_PASSWORD": "p"}, "Bearer k"),
    ],
)
def test_credentials_come_from_the_environment(environment: dict[str, str], header: str | None) -> None:
    assert authorization(environment) == header


@pytest.mark.parametrize(
    ("user_info", "expected"),
    [
        ("ada:p", "ada:p"),
        ("ada:%C3%A9", "ada:é"),
        ("ada:%F0%9F%98%80", "ada:😀"),
        ("%D0%90%D0%B4%D0%B0:a%40b%3Ac%2F%25", "Ада:a@b:c/%"),
        ("ada:é", "ada:é"),
        ("ada", "ada:"),
    ],
)
def test_url_credentials_are_the_fallback(user_info: str, expected: str) -> None:
    assert authorization({}, f"http://{user_info}@127.0.0.1/jobs") == basic(expected)


def test_key_with_a_line_break_is_rejected() -> None:
    with pytest.raises(InvalidInput, match="TORK_KEY contains a line break"):
        credentials({"TORK_KEY": "k\n"})


def test_credentials_are_removed_from_a_shown_url() -> None:
    assert without_credentials("http://ada:p@127.0.0.1:3000/x") == "http://127.0.0.1:3000/x"
    assert without_credentials("http://127.0.0.1:3000") == "http://127.0.0.1:3000"
