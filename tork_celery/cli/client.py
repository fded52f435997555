"""A client of the REST API, for the command line."""

from typing import Any

import requests
from requests.auth import AuthBase

from tork_celery.cli.credentials import without_credentials
from tork_celery.domain.errors import InvalidInput, TorkError, Unauthenticated, Unavailable

_TIMEOUT_S = 30


class Client:
    """`url` is where the API listens, such as http://127.0.0.1:3000; it may hold a user name and password."""

    def __init__(self, url: str, *, auth: AuthBase | None = None) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.auth = auth

    def submit(self, kind: str, body: bytes, media_type: str) -> dict[str, Any]:
        """Submit a job or a task; the answer. Raises InvalidInput, Unauthenticated, Unavailable."""
        route = "/jobs" if kind == "job" else "/task"
        return self._call("POST", route, data=body, headers={"Content-Type": media_type})

    def job(self, job_id: str) -> dict[str, Any]:
        """Raises Unavailable."""
        return self._call("GET", f"/jobs/{job_id}")

    def close(self) -> None:
        self._session.close()

    def _call(self, method: str, route: str, **options: Any) -> dict[str, Any]:
        try:
            answer = self._session.request(method, self._url + route, timeout=_TIMEOUT_S, **options)
        except requests.RequestException as error:
            place = without_credentials(self._url)
            raise Unavailable(
                f"nothing answers at {place}: start it with `tork-celery standalone`, "
                "or name another address with --url or TORK_URL"
            ) from error
        if answer.ok:
            document: dict[str, Any] = answer.json()
            return document
        raise _error(answer)


def _error(answer: requests.Response) -> TorkError:
    if answer.status_code == requests.codes.unauthorized:
        return Unauthenticated(
            f"the server says: {_message(answer)}; set TORK_KEY, or TORK_USER and TORK_PASSWORD"
        )
    if answer.status_code < requests.codes.server_error:
        return InvalidInput(_message(answer))
    return Unavailable(f"the server says {answer.status_code}: {_message(answer)}")


def _message(answer: requests.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:500]
