"""The docker SDK's client with a working connection pool for Unix sockets.

The SDK has one pool for each URL, and nearly every URL contains the name of a container, so it connects anew
for every call. It also leaks the socket when connecting fails.
"""

import socket
from collections.abc import Mapping

import docker
import requests
import requests.adapters
import urllib3
import urllib3.connection
from docker.transport import UnixHTTPAdapter


class EngineClient(docker.APIClient):
    """Client with up to `max_pool_size` idle connections to a Unix socket."""

    def mount(self, prefix: str | bytes, adapter: requests.adapters.BaseAdapter) -> None:
        if isinstance(adapter, UnixHTTPAdapter):
            adapter = _UnixAdapter(adapter.socket_path, connections=adapter.max_pool_size)
        super().mount(prefix, adapter)


class _UnixAdapter(requests.adapters.HTTPAdapter):
    def __init__(self, path: str, *, connections: int) -> None:
        super().__init__()
        self._pool = _UnixPool(path, connections=connections)

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
    def __init__(self, path: str, *, connections: int) -> None:
        super().__init__("localhost", maxsize=connections)
        self._path = path

    def _new_conn(self) -> urllib3.connection.HTTPConnection:
        return _UnixConnection(self._path)


class _UnixConnection(urllib3.connection.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(None if self.timeout is None else float(str(self.timeout)))
            sock.connect(self._path)
        except BaseException:
            sock.close()
            raise
        self.sock = sock
