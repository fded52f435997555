"""A client of the REST API."""

from typing import Any

import requests
from requests.auth import AuthBase

from tork_celery.cli.credentials import without_credentials
from tork_celery.domain.errors import InvalidInput, TorkError, Unauthenticated, Unavailable

_TIMEOUT_S = 30


class Client:
    """Calls the API at `url`, such as http://127.0.0.1:3000. The URL may hold a user name and a password."""

    def __init__(self, url: str, *, auth: AuthBase | None = None) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.auth = auth

    def submit(self, kind: str, body: bytes, media_type: str) -> dict[str, Any]:
        """Submit a job or a task, as `kind` says; return the response.

        Raises InvalidInput, Unauthenticated, Unavailable.
        """
        route = "/jobs" if kind == "job" else "/task"
        return self._call("POST", route, data=body, headers={"Content-Type": media_type})

    def job(self, job_id: str) -> dict[str, Any]:
        """Return a job with its tasks. Raises InvalidInput, Unauthenticated, Unavailable."""
        return self._call("GET", f"/jobs/{job_id}")

    def close(self) -> None:
        self._session.close()

    def _call(self, method: str, route: str, **options: Any) -> dict[str, Any]:
        try:
            response = self._session.request(method, self._url + route, timeout=_TIMEOUT_S, **options)
        except requests.RequestException as error:
            raise Unavailable(
                f"no answer from {without_credentials(self._url)}: start the system with "
                "`tork-celery standalone`, or set another address with --url or TORK_URL"
            ) from error
        if response.ok:
            document: dict[str, Any] = response.json()
            return document
        raise _error(response)


def _error(response: requests.Response) -> TorkError:
    message = _message(response)
    if response.status_code == requests.codes.unauthorized:
        return Unauthenticated(f"not authenticated: {message}; set TORK_KEY, or TORK_USER and TORK_PASSWORD")
    if response.status_code < requests.codes.server_error:
        return InvalidInput(message)
    return Unavailable(f"the server answered {response.status_code}: {message}")


def _message(response: requests.Response) -> str:
    try:
        return str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        return response.text[:500]
