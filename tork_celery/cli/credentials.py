"""The credentials that the command line sends to the API."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from requests import PreparedRequest
from requests.auth import AuthBase, HTTPBasicAuth


class Bearer(AuthBase):
    """Authenticates requests with a user's key."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request


def credentials(environment: Mapping[str, str]) -> AuthBase | None:
    """Return the credentials in TORK_KEY, else those in TORK_USER and TORK_PASSWORD, else None.

    With None, requests uses the user name and password of the URL, if any.
    """
    if key := environment.get("TORK_KEY"):
        return Bearer(key)
    if user := environment.get("TORK_USER"):
        return HTTPBasicAuth(user.encode(), environment.get("TORK_PASSWORD", "").encode())
    return None


def without_credentials(url: str) -> str:
    """Return a URL without its user name and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
