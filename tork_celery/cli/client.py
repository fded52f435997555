"""A client of the REST API."""

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from urllib3.exceptions import NewConnectionError

from tork_celery.cli.credentials import credentials, without_credentials
from tork_celery.domain.errors import (
    BodyTooLarge,
    Forbidden,
    InvalidInput,
    NotFound,
    TorkError,
    Unauthenticated,
    Unavailable,
    WrongState,
)

Document = dict[str, Any]

_TIMEOUT_S = 30
RETRY_PAUSES_S = (0.5, 1.0, 2.0)
"""Pauses before a request is sent again that was answered with 429 or 503: nothing was stored."""
_LONGEST_PAUSE_S = 10.0
_TRY_AGAIN = (requests.codes.too_many_requests, requests.codes.service_unavailable)
_KINDS: dict[int, tuple[type[TorkError], str, str]] = {
    requests.codes.unauthorized: (
        Unauthenticated,
        "not authenticated: ",
        "; set TORK_KEY, or TORK_USER and TORK_PASSWORD",
    ),
    requests.codes.forbidden: (Forbidden, "not allowed: ", "; ask an admin, or use the key of another user"),
    requests.codes.not_found: (NotFound, "", ""),
    requests.codes.conflict: (WrongState, "", ""),
    requests.codes.request_entity_too_large: (BodyTooLarge, "", ""),
}
"""The error of each status, and what its text has before and after the server's message."""
_NOT_FOUND_HINTS = {
    "jobs": "; `tork-celery jobs` lists the jobs",
    "tasks": "; `tork-celery tasks` lists the tasks",
    "queues": "; `tork-celery queues` lists the queues",
    "scheduled-jobs": "; `tork-celery schedules` lists the schedules",
    "users": "; `tork-celery users list` lists the users",
}


class Client:
    """Calls the API at `url`, such as http://127.0.0.1:3000. The URL may hold a user name and a password.

    Raises InvalidInput for a text that is no such URL. All methods raise InvalidInput for 400, WrongState for
    409 and for 400 in response to an action, NotFound, Unauthenticated, Forbidden, and Unavailable if the API
    does not answer, or is too busy.
    """

    def __init__(self, url: str, environment: Mapping[str, str]) -> None:
        """`environment` has the credentials, unless the URL has them."""
        _check_url(url)
        self.url = without_credentials(url).rstrip("/")
        self._session = requests.Session()
        self._session.auth = credentials(environment, url)

    def get(self, *path: str, **query: Any) -> Any:
        """Return a document. Parameters that are None are left out."""
        return self._call("GET", path, params=query)

    def act(self, method: str, *path: str, **query: Any) -> Any:
        """Send a request without a body that changes something, and return the response."""
        try:
            return self._call(method, path, params=query)
        except InvalidInput as error:
            raise WrongState(str(error)) from error

    def send(self, method: str, *path: str, body: bytes, media_type: str) -> Any:
        """Send a body and return the response, without waiting for the end of a job.

        A response that is lost is asked for again: the request takes effect once, by its Idempotency-Key.
        """
        headers = {"Content-Type": media_type, "Prefer": "respond-async", "Idempotency-Key": uuid.uuid4().hex}
        for pause_s in RETRY_PAUSES_S:
            try:
                return self._call(method, path, data=body, headers=headers)
            except _ResponseLost:
                time.sleep(pause_s)
        return self._call(method, path, data=body, headers=headers)

    def send_json(self, method: str, *path: str, document: Document) -> Any:
        """Send a document and return the response. See `send`."""
        body = json.dumps(document).encode()
        return self.send(method, *path, body=body, media_type="application/json")

    def job(self, job_id: str, *, patient: bool = True) -> Document:
        """Return a job with its tasks. Without `patient`, 429 and 503 are not tried again."""
        return self._document(self._call("GET", ("jobs", job_id), patient=patient))

    def health(self) -> Document:
        """Return the health of the system, also when a part is down."""
        response = self._send("GET", ["health"])
        if response.status_code not in (requests.codes.ok, requests.codes.service_unavailable):
            raise _error(response, ["health"])
        return self._document(self._json(response))

    def pages(self, *path: str, size: int = 100, **query: Any) -> Iterator[Document]:
        """Yield the items of all pages of a list. An item that moves to another page meanwhile may be yielded
        twice or not at all."""
        number = 1
        while True:
            page = self.get(*path, page=number, size=size, **query)
            yield from page["items"]
            if number >= page["totalPages"]:
                return
            number += 1

    def newest(self, *path: str, limit: int, **query: Any) -> list[Document]:
        """Return up to `limit` items of a list."""
        items: list[Document] = []
        for item in self.pages(*path, size=min(limit, 100), **query):
            items.append(item)
            if len(items) == limit:
                break
        return items

    def stream(self, *path: str, headers: Mapping[str, str], **query: Any) -> requests.Response:
        """Return a response whose body is read as it arrives. The caller closes it."""
        return self._response("GET", path, params=query, headers=dict(headers), stream=True)

    def close(self) -> None:
        self._session.close()

    def _call(self, method: str, path: Sequence[str], *, patient: bool = True, **options: Any) -> Any:
        return self._json(self._response(method, path, patient=patient, **options))

    def _json(self, response: requests.Response) -> Any:
        try:
            return response.json()
        except ValueError as error:
            raise Unavailable(f"the answer of {self.url} is not JSON: {response.text[:100]!r}") from error

    def _response(
        self, method: str, path: Sequence[str], *, patient: bool = True, **options: Any
    ) -> requests.Response:
        """Send a request, again if the API is too busy for it, and return a successful response."""
        response = self._send(method, path, **options)
        for pause_s in RETRY_PAUSES_S if patient else ():
            if response.status_code not in _TRY_AGAIN:
                break
            time.sleep(_retry_after_s(response, default_s=pause_s))
            response = self._send(method, path, **options)
        if not response.ok:
            raise _error(response, path)
        return response

    def _send(self, method: str, path: Sequence[str], **options: Any) -> requests.Response:
        url = "/".join([self.url, *(quote(part, safe="") for part in path)])
        try:
            return self._session.request(method, url, timeout=_TIMEOUT_S, **options)
        except requests.RequestException as error:
            kind = Unavailable if _was_not_sent(error) else _ResponseLost
            raise kind(
                f"no answer from {self.url}: start the system with `tork-celery standalone`, or set another "
                "address with --url or TORK_URL"
            ) from error

    def _document(self, value: Any) -> Document:
        if not isinstance(value, dict):
            raise Unavailable(f"the answer of {self.url} is not an object: {str(value)[:100]!r}")
        return value


class _ResponseLost(Unavailable):
    """The connection ended after the request was sent, perhaps in part."""


def _was_not_sent(error: requests.RequestException) -> bool:
    """Return whether no connection was made."""
    cause = error.args[0] if error.args else None
    return isinstance(error, requests.ConnectTimeout) or isinstance(
        getattr(cause, "reason", None), NewConnectionError
    )


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise InvalidInput("--url or TORK_URL is not the URL of an API; write it like http://127.0.0.1:3000")


def _retry_after_s(response: requests.Response, *, default_s: float) -> float:
    """Return the pause that the response asks for, or the default."""
    text = response.headers.get("Retry-After", "")
    return min(float(text), _LONGEST_PAUSE_S) if text.isdecimal() and text.isascii() else default_s


def _error(response: requests.Response, path: Sequence[str]) -> TorkError:
    message, status = _message(response), response.status_code
    if status in _KINDS:
        kind, beginning, hint = _KINDS[status]
        if status == requests.codes.not_found:
            hint = _NOT_FOUND_HINTS.get(path[0], "")
        return kind(f"{beginning}{message}{hint}")
    if status >= requests.codes.server_error or status in (*_TRY_AGAIN, requests.codes.misdirected_request):
        return Unavailable(f"the server answered {status}: {message}")
    return InvalidInput(message)


def _message(response: requests.Response) -> str:
    try:
        return str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        return response.text[:500]
