"""The connection to the container engine."""

import threading
from collections.abc import Mapping
from contextlib import closing

import docker.errors
import requests

from tork_celery.domain.errors import EngineUnavailable
from tork_celery.runtime.docker.error_mapping import map_connection_error, map_engine_errors
from tork_celery.runtime.docker.transport import EngineClient

DEFAULT_URL = "unix:///var/run/docker.sock"
CALL_TIMEOUT_S = 60


class EngineConnection:
    """A client of one engine, with a pool of `connections`. Thread-safe; connects at the first call."""

    def __init__(self, url: str | None, *, connections: int) -> None:
        self.url = url or DEFAULT_URL
        self._connections = connections
        self._lock = threading.Lock()
        self._client: EngineClient | None = None

    @property
    def client(self) -> EngineClient:
        """The docker SDK's client, whose errors are not mapped. Raises EngineUnavailable."""
        client = self._client
        return client if client is not None else self._connect()

    def ping(self, *, within_s: float) -> None:
        """Raise EngineUnavailable, with advice, unless the engine answers within `within_s` seconds.

        Uses a new connection: an engine that is shutting down still serves existing ones.
        """
        try:
            with map_engine_errors(), closing(self._new_client(timeout_s=within_s)) as client:
                client.ping()
        except EngineUnavailable as error:
            raise EngineUnavailable(
                f"no container engine answers at {self.url} ({error}): start it, or install one, and check "
                "that this user may use it (is in the group docker)"
            ) from error

    def open(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None,
        headers: Mapping[str, str | bytes] | None,
        timeout_s: float,
    ) -> requests.Response:
        """Send a request and return the response, with its body still unread. Errors are not mapped."""
        client = self.client
        url = f"{client.base_url}/v{client.api_version}{path}"
        response = client.request(method, url, params=params, headers=headers, stream=True, timeout=timeout_s)
        try:
            response.raise_for_status()
        except requests.HTTPError as error:
            docker.errors.create_api_error_from_http_exception(error)
        return response

    def close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()

    def _new_client(self, *, timeout_s: float) -> EngineClient:
        version = self.client.api_version
        client = EngineClient(self.url, version=version, timeout=timeout_s)  # type: ignore[arg-type]
        client.trust_env = False
        return client

    def _connect(self) -> EngineClient:
        with self._lock:
            if self._client is None:
                try:
                    self._client = EngineClient(
                        self.url, version="auto", timeout=CALL_TIMEOUT_S, max_pool_size=self._connections
                    )
                except docker.errors.DockerException as error:
                    raise map_connection_error(error) from error
                # Proxies and .netrc do not concern the engine. Looking for them costs a third of a call.
                self._client.trust_env = False
            return self._client
