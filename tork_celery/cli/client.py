"""A client of the REST API."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests

from tork_celery.cli.credentials import credentials, without_credentials
from tork_celery.domain.errors import InvalidInput, TorkError, Unauthenticated, Unavailable

_TIMEOUT_S = 30


class Client:
    """Calls the API at `url`, such as http://127.0.0.1:3000. The URL may hold a user name and a password.

    Raises InvalidInput for a text that is no such URL.
    """

    def __init__(self, url: str, *, environment: Mapping[str, str]) -> None:
        """`environment` has the credentials, unless the URL has them."""
        _check_url(url)
        self.url = without_credentials(url).rstrip("/")
        self._session = requests.Session()
        self._session.auth = credentials(environment, url)

    def submit(self, kind: str, body: bytes, media_type: str) -> dict[str, Any]:
        """Submit a job or a task, as `kind` says; return the response, without waiting for the job's end.

        Raises InvalidInput, Unauthenticated, Unavailable.
        """
        route = "/jobs" if kind == "job" else "/task"
        headers = {"Content-Type": media_type, "Prefer": "respond-async"}
        return self._call("POST", route, data=body, headers=headers)

    def job(self, job_id: str) -> dict[str, Any]:
        """Return a job with its tasks. Raises InvalidInput, Unauthenticated, Unavailable."""
        return self._call("GET", f"/jobs/{job_id}")

    def close(self) -> None:
        self._session.close()

    def _call(self, method: str, route: str, **options: Any) -> dict[str, Any]:
        try:
            response = self._session.request(method, self.url + route, timeout=_TIMEOUT_S, **options)
        except requests.RequestException as error:
            raise Unavailable(
                f"no answer from {self.url}: start the system with `tork-celery standalone`, or set another "
                "address with --url or TORK_URL"
            ) from error
        if not response.ok:
            raise _error(response)
        try:
            document: dict[str, Any] = response.json()
        except ValueError as error:
            raise Unavailable(f"the answer of {self.url} is not JSON: {response.text[:100]!r}") from error
        return document


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise InvalidInput("--url or TORK_URL is not the URL of an API; write it like http://127.0.0.1:3000")


def _error(response: requests.Response) -> TorkError:
    message = _message(response)
    status = response.status_code
    if status == requests.codes.unauthorized:
        return Unauthenticated(f"not authenticated: {message}; set TORK_KEY, or TORK_USER and TORK_PASSWORD")
    if status >= requests.codes.server_error or status == requests.codes.too_many_requests:
        return Unavailable(f"the server answered {status}: {message}")
    return InvalidInput(message)


def _message(response: requests.Response) -> str:
    try:
        return str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        return response.text[:500]
