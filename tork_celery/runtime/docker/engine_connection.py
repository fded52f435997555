"""The connection to the container engine."""

import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import docker.errors
import requests

from tork_celery.domain.errors import EngineFailed, EngineUnavailable, TorkError
from tork_celery.runtime.docker.calls_in_progress import CallsInProgress
from tork_celery.runtime.docker.error_mapping import (
    map_api_error,
    map_connection_error,
    map_engine_errors,
    one_line,
)
from tork_celery.runtime.docker.host_credentials import DAMAGED_CONFIGURATION
from tork_celery.runtime.docker.transport import EngineClient

DEFAULT_URL = "unix:///var/run/docker.sock"
CALL_TIMEOUT_S = 60


class EngineConnection:
    """A client of one engine, with a pool of `connections`. Thread-safe; connects at the first call."""

    def __init__(self, url: str | None, *, connections: int) -> None:
        self.url = url or DEFAULT_URL
        self._connections = connections
        self._calls = CallsInProgress()
        self._lock = threading.Lock()
        self._client: EngineClient | None = None

    @property
    def client(self) -> EngineClient:
        """The docker SDK's client, whose errors are not mapped. Raises EngineUnavailable."""
        client = self._client
        return client if client is not None else self._connect()

    def interrupter(self) -> Callable[[], None]:
        """Return a function that ends a call of this thread which the engine does not answer within seconds.

        The call then raises EngineUnavailable. Other threads may call the function, at any time.
        """
        return self._calls.interrupter()

    def ping(self, *, within_s: float) -> None:
        """Raise EngineUnavailable, with advice, unless the engine answers within `within_s` seconds.

        EngineFailed if the answer is an error.

        Uses a new connection: an engine that is shutting down still serves existing ones.
        """
        try:
            with (
                map_engine_errors("answer a ping"),
                closing(self._new_client(timeout_s=within_s)) as client,
            ):
                client.ping()
        except EngineFailed as error:
            raise EngineFailed(f"the container engine at {self.url}: {error}", call=error.call) from error
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
        client.raise_for_status(response)
        return response

    def close(self) -> None:
        """End the calls in progress, and close all connections."""
        self._calls.end_all()
        with self._lock:
            if self._client is not None:
                self._client.close()

    def _new_client(self, *, timeout_s: float) -> EngineClient:
        version = self.client.api_version
        client = _make_client(self.url, calls=self._calls, version=version, timeout=timeout_s)
        client.trust_env = False
        return client

    def _connect(self) -> EngineClient:
        with self._lock:
            if self._client is None:
                try:
                    self._client = _make_client(
                        self.url,
                        calls=self._calls,
                        version="auto",
                        timeout=CALL_TIMEOUT_S,
                        max_pool_size=self._connections,
                    )
                except docker.errors.DockerException as error:
                    raise _map_first_error(error) from error
                # Proxies and .netrc do not concern the engine. Looking for them costs a third of a call.
                self._client.trust_env = False
            return self._client


def _make_client(url: str, **options: Any) -> EngineClient:
    """Return a client. The SDK reads the Docker configuration of this host. Raises EngineUnavailable."""
    try:
        return EngineClient(url, **options)
    except (docker.errors.InvalidConfigFile, *DAMAGED_CONFIGURATION) as error:
        reason = one_line(f"{type(error).__name__}: {error}")
        raise EngineUnavailable(f"the Docker configuration of this host cannot be read: {reason}") from error


def _map_first_error(error: docker.errors.DockerException) -> TorkError:
    """Map the error of the SDK's first call, which asks for the engine's version and wraps all errors."""
    if isinstance(error.__cause__, docker.errors.APIError):
        return map_api_error(error.__cause__, "report its version")
    return map_connection_error(error)
