"""The credentials that the command line sends to the API."""

import os
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes, urlsplit

from requests import PreparedRequest
from requests.auth import AuthBase, HTTPBasicAuth

from tork_celery.domain.errors import InvalidInput


class Bearer(AuthBase):
    """Authenticates requests with a user's key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers["Authorization"] = b"Bearer " + self._key  # type: ignore[assignment]  # str is latin-1
        return request


def credentials(environment: Mapping[str, str], url: str = "") -> AuthBase | None:
    """Return the credentials in TORK_KEY, else those in TORK_USER and TORK_PASSWORD, else those of the URL.

    Names, passwords and keys are sent as UTF-8. Raises InvalidInput for a key with a line break.
    """
    if key := environment.get("TORK_KEY"):
        if not key.isprintable():
            raise InvalidInput("TORK_KEY contains a line break or another control character")
        return Bearer(os.fsencode(key))
    if user := environment.get("TORK_USER"):
        return HTTPBasicAuth(os.fsencode(user), os.fsencode(environment.get("TORK_PASSWORD", "")))
    user_info, at, _ = urlsplit(url).netloc.rpartition("@")
    if not at:
        return None
    user, _, password = user_info.partition(":")
    return HTTPBasicAuth(unquote_to_bytes(user), unquote_to_bytes(password))


def without_credentials(url: str) -> str:
    """Return a URL without its user name and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
