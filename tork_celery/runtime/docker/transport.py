"""The docker SDK's client with a working connection pool for Unix sockets.

The SDK has one pool for each URL, and nearly every URL contains the name of a container, so it connects anew
for every call. It also leaks the socket when connecting fails.
"""

import socket
from collections.abc import Mapping
from typing import Any

import docker
import docker.errors
import requests
import requests.adapters
import urllib3
import urllib3.connection
from docker.transport import UnixHTTPAdapter
from urllib3.response import HTTPResponse

from tork_celery.runtime.docker.calls_in_progress import CallsInProgress

_FIRST_ERROR_STATUS = 400
_NOT_FOUND = 404


class EngineClient(docker.APIClient):
    """Client with up to `max_pool_size` idle connections to a Unix socket. `calls` lists its calls."""

    def __init__(self, base_url: str, *, calls: CallsInProgress, **options: Any) -> None:
        self._calls = calls  # the base class calls `mount`
        super().__init__(base_url, **options)

    def mount(self, prefix: str | bytes, adapter: requests.adapters.BaseAdapter) -> None:
        if isinstance(adapter, UnixHTTPAdapter):
            adapter = _UnixAdapter(adapter.socket_path, calls=self._calls, connections=adapter.max_pool_size)
        super().mount(prefix, adapter)

    def _raise_for_status(self, response: requests.Response) -> None:
        """Raise an APIError for an error, NotFound for 404, whatever its body holds.

        The base class raises KeyError for JSON without a message.
        """
        if response.status_code < _FIRST_ERROR_STATUS:
            return
        kind = docker.errors.NotFound if response.status_code == _NOT_FOUND else docker.errors.APIError
        raise kind(response.reason, response=response, explanation=_error_message(response))

    raise_for_status = _raise_for_status


class _UnixAdapter(requests.adapters.HTTPAdapter):
    def __init__(self, path: str, *, calls: CallsInProgress, connections: int) -> None:
        super().__init__()
        self._pool = _UnixPool(path, calls=calls, connections=connections)

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,  # noqa: ARG002  one socket serves all requests
        verify: bool | str | None,  # noqa: ARG002
        proxies: Mapping[str, str] | None = None,  # noqa: ARG002
        cert: tuple[str, str] | str | None = None,  # noqa: ARG002
    ) -> urllib3.HTTPConnectionPool:
        return self._pool

    def request_url(self, request: requests.PreparedRequest, proxies: Mapping[str, str] | None) -> str:  # noqa: ARG002
        return request.path_url

    def close(self) -> None:
        super().close()
        self._pool.close()


class _UnixPool(urllib3.HTTPConnectionPool):
    def __init__(self, path: str, *, calls: CallsInProgress, connections: int) -> None:
        super().__init__("localhost", maxsize=connections)
        self._path = path
        self._calls = calls

    def _new_conn(self) -> urllib3.connection.HTTPConnection:
        return _UnixConnection(self._path, self._calls)


class _UnixConnection(urllib3.connection.HTTPConnection):
    def __init__(self, path: str, calls: CallsInProgress) -> None:
        super().__init__("localhost")
        self._path = path
        self._calls = calls

    def connect(self) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(None if self.timeout is None else float(str(self.timeout)))
            sock.connect(self._path)
        except BaseException:
            sock.close()
            raise
        self.sock = sock

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as in urllib3
        """Wait for the headers of the answer. Another thread may end that."""
        with self._calls.waiting(self.sock):
            return super().getresponse()


def _error_message(response: requests.Response) -> str:
    """Return the message in the body of an error, or else the body."""
    try:
        message = response.json()["message"]
    except (ValueError, TypeError, KeyError):
        message = response.text
    return str(message).strip() or f"HTTP status {response.status_code}"
