"""The calls to the engine that the runtime makes, with the engine's errors as ours.

Those of the docker SDK's low-level client where it has them; its streams cannot be interrupted, and it
inspects a container before it reads its log.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import docker.auth
import docker.errors
import docker.utils
import requests

from tork_celery.domain.definition import Registry
from tork_celery.domain.errors import EngineUnavailable
from tork_celery.runtime.docker import error_mapping
from tork_celery.runtime.docker.engine_stream import EngineStream
from tork_celery.runtime.docker.error_mapping import translated
from tork_celery.runtime.docker.transport import EngineClient

DEFAULT_URL = "unix:///var/run/docker.sock"
_CALL_TIMEOUT_S = 60
_EXIT_TIMEOUT_S = 10
_CONFLICT = 409


class ImageMissing(Exception):
    """The engine does not have the image."""


class NameTaken(Exception):
    """There is a container of that name."""


class PullFailed(Exception):
    """The engine could not pull an image; its words say why."""


class EngineApi:
    """One engine. Safe to use from many threads; the first call connects."""

    def __init__(self, url: str | None, *, connections: int) -> None:
        self.url = url or DEFAULT_URL
        self._connections = connections
        self._lock = threading.Lock()
        self._client: EngineClient | None = None

    def ping(self, *, within_s: float) -> None:
        """On a connection of its own, for an engine that is about to stop still serves those that it has.
        Raises EngineUnavailable, saying what to do."""
        try:
            with translated(), closing(self._another(timeout_s=within_s)) as client:
                client.ping()
        except EngineUnavailable as error:
            raise EngineUnavailable(
                f"no container engine answers at {self.url} ({error}): start it, or install one, and see "
                "that this user may use it (be in the group docker)"
            ) from error

    def create(self, name: str, configuration: Mapping[str, Any]) -> None:
        """Raises ImageMissing, NameTaken."""
        client = self._connected()
        with translated():
            try:
                client.create_container_from_config(configuration, name)  # type: ignore[no-untyped-call]
            except docker.errors.ImageNotFound as error:
                raise ImageMissing from error
            except docker.errors.APIError as error:
                if error.status_code == _CONFLICT:
                    raise NameTaken from error
                raise

    def put(self, name: str, path: str, archive: bytes) -> None:
        """Unpack a tar archive in the container, at `path`."""
        with translated():
            self._connected().put_archive(name, path, archive)

    def attach(self, name: str) -> EngineStream:
        """What the container prints from now on, as an upgraded stream."""
        return self._stream(
            "POST",
            f"/containers/{name}/attach",
            params={"stdout": 1, "stderr": 1, "stream": 1},
            headers={"Connection": "Upgrade", "Upgrade": "tcp"},
        )

    def start(self, name: str) -> None:
        with translated():
            self._connected().start(name)

    def logs(self, name: str) -> EngineStream:
        """What the container has printed and prints until its end."""
        return self._stream("GET", f"/containers/{name}/logs", params={"stdout": 1, "stderr": 1, "follow": 1})

    def wait(self, name: str) -> EngineStream:
        """The exit of a container whose output has ended, as JSON.

        It comes at once. When it does not, the connection that brought the output broke and the container
        runs on: that is EngineUnavailable, and the step can be followed again.
        """
        return self._stream("POST", f"/containers/{name}/wait", timeout_s=_EXIT_TIMEOUT_S)

    def inspect(self, name: str) -> dict[str, Any] | None:
        with translated():
            try:
                found: dict[str, Any] = self._connected().inspect_container(name)
            except docker.errors.NotFound:
                return None
            return found

    def kill(self, name: str, signal: str) -> bool:
        """Whether it was there and running."""
        with translated():
            try:
                self._connected().kill(name, signal)
            except docker.errors.APIError as error:
                if isinstance(error, docker.errors.NotFound) or error.status_code == _CONFLICT:
                    return False
                raise
            return True

    def remove_container(self, name: str) -> None:
        """With its anonymous volumes, running or not. One that is gone, or going, is fine."""
        with translated():
            try:
                self._connected().remove_container(name, v=True, force=True)
            except docker.errors.NotFound:
                return
            except docker.errors.APIError as error:
                if error.status_code != _CONFLICT:
                    raise

    def tail(self, name: str, *, lines: int) -> Iterator[bytes]:
        """The last lines of what the container has printed, as frames."""
        params = {"stdout": 1, "stderr": 1, "tail": lines}
        with closing(self._stream("GET", f"/containers/{name}/logs", params=params)) as stream:
            yield from stream.chunks()

    def remove_volume(self, name: str) -> None:
        with translated():
            try:
                self._connected().remove_volume(name, force=True)
            except docker.errors.NotFound:
                return

    def containers(self, labels: list[str]) -> list[dict[str, Any]]:
        with translated():
            found: list[dict[str, Any]] = self._connected().containers(all=True, filters={"label": labels})
            return found

    def volumes(self, labels: list[str]) -> list[dict[str, Any]]:
        with translated():
            answer: dict[str, Any] = self._connected().volumes(filters={"label": labels})
            return answer["Volumes"] or []

    def network(self, name: str) -> dict[str, Any] | None:
        with translated():
            try:
                found: dict[str, Any] = self._connected().inspect_network(name)
            except docker.errors.NotFound:
                return None
            return found

    def create_network(self, name: str, labels: dict[str, str]) -> None:
        """A bridge network. One of that name that is there is fine."""
        with translated():
            try:
                self._connected().create_network(name, "bridge", check_duplicate=True, labels=labels)
            except docker.errors.APIError as error:
                if error.status_code != _CONFLICT:
                    raise

    def connect(self, network: str, container: str, aliases: list[str]) -> None:
        with translated():
            self._connected().connect_container_to_network(container, network, aliases=aliases or None)

    def remove_network(self, name: str) -> None:
        with translated():
            try:
                self._connected().remove_network(name)
            except docker.errors.NotFound:
                return

    def networks(self, labels: list[str]) -> list[dict[str, Any]]:
        with translated():
            found: list[dict[str, Any]] = self._connected().networks(filters={"label": labels})
            return found

    def pull(self, image: str, credentials: Registry | None, *, timeout_s: float) -> EngineStream:
        """How the pull goes, as JSON, one object a line. Without `credentials`, with those that this machine
        has for the registry, as every client of Docker. Raises PullFailed."""
        repository, tag = docker.utils.parse_repository_tag(image)
        with translated():
            try:
                response = self._open(
                    "POST",
                    "/images/create",
                    params={"fromImage": repository, "tag": tag or "latest"},
                    headers=self._authorization(repository, credentials),
                    timeout_s=timeout_s,
                )
            except docker.errors.APIError as error:
                raise PullFailed(error_mapping.reason(error)) from error
        return EngineStream(response, timeout_s=None)

    def close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()

    def remove_image(self, image: str) -> bool:
        """Whether it is gone; one that a container has stays."""
        with translated():
            try:
                self._connected().remove_image(image)
            except docker.errors.NotFound:
                return True
            except docker.errors.APIError as error:
                if error.status_code != _CONFLICT:
                    raise
                return False
            return True

    def _authorization(self, repository: str, credentials: Registry | None) -> dict[str, bytes]:
        try:
            registry, _ = docker.auth.resolve_repository_name(repository)
        except docker.errors.InvalidRepository as error:
            raise PullFailed(error_mapping.one_line(str(error))) from error
        if credentials is None:
            header = docker.auth.get_config_header(self._connected(), registry)
            return {"X-Registry-Auth": header} if header else {}
        given = {"username": credentials.username, "password": credentials.password}
        return {"X-Registry-Auth": docker.auth.encode_header({**given, "serveraddress": registry})}

    def _stream(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> EngineStream:
        with translated():
            response = self._open(method, path, params=params, headers=headers, timeout_s=_CALL_TIMEOUT_S)
        return EngineStream(response, timeout_s=timeout_s)

    def _open(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None,
        headers: Mapping[str, str | bytes] | None,
        timeout_s: float,
    ) -> requests.Response:
        response = self._connected().request(
            method, self._address(path), params=params, headers=headers, stream=True, timeout=timeout_s
        )
        try:
            response.raise_for_status()
        except requests.HTTPError as error:
            docker.errors.create_api_error_from_http_exception(error)
        return response

    def _address(self, path: str) -> str:
        client = self._connected()
        return f"{client.base_url}/v{client.api_version}{path}"

    def _another(self, *, timeout_s: float) -> EngineClient:
        version = self._connected().api_version
        client = EngineClient(self.url, version=version, timeout=timeout_s)  # type: ignore[arg-type]
        client.trust_env = False
        return client

    def _connected(self) -> EngineClient:
        client = self._client
        return client if client is not None else self._connect()

    def _connect(self) -> EngineClient:
        with self._lock:
            if self._client is None:
                try:
                    self._client = EngineClient(
                        self.url, version="auto", timeout=_CALL_TIMEOUT_S, max_pool_size=self._connections
                    )
                except docker.errors.DockerException as error:
                    raise error_mapping.unreachable(error) from error
                # Proxies and .netrc do not concern the engine, and looking for them costs a third of a call.
                self._client.trust_env = False
            return self._client
