"""Calls to the engine for containers, volumes and networks, with the engine's errors mapped.

They use the docker SDK's low-level client where possible. Its streams cannot be interrupted, and it inspects
a container before it reads its log, so streams are opened without it.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import docker.errors
import requests

from tork_celery.domain.backoff import PASSING
from tork_celery.domain.errors import EngineFailed, StepFailed
from tork_celery.runtime.docker.archives import PathStat
from tork_celery.runtime.docker.engine_connection import CALL_TIMEOUT_S, EngineConnection
from tork_celery.runtime.docker.engine_stream import EngineStream
from tork_celery.runtime.docker.error_mapping import api_error_message, map_engine_errors

_EXIT_TIMEOUT_S = 10
_KILL_TIMEOUT_S = 8  # less than the time in which a stopping worker has to end
_NOT_FOUND = 404
_CONFLICT = 409


class ImageMissing(Exception):
    """The engine does not have the image."""


class NameTaken(Exception):
    """A container of that name exists."""


class ObjectMissing(Exception):
    """A container or network that a call names does not exist, or is being removed. The text is the
    engine's message."""


class EngineApi:
    """The containers, volumes and networks of one engine.

    Thread-safe. All methods raise EngineUnavailable and EngineFailed. Those that pass what a user wrote raise
    StepFailed when the engine refuses it. Those that use a container or network raise ObjectMissing; removing
    what does not exist is no error.
    """

    def __init__(self, connection: EngineConnection) -> None:
        self._connection = connection

    # Containers

    def version(self) -> dict[str, Any]:
        """Return the engine's version, with the machine type and the components."""
        with map_engine_errors("report its version"):
            version: dict[str, Any] = self._connection.client.version()
            return version

    def create(self, name: str, config: Mapping[str, Any]) -> str:
        """Create a container, and return its id. Raises ImageMissing, NameTaken."""
        client = self._connection.client
        with map_engine_errors("create the container", of_definition=True):
            try:
                answer = client.create_container_from_config(config, name)  # type: ignore[no-untyped-call]
            except docker.errors.APIError as error:
                if error.status_code == _NOT_FOUND:
                    raise ImageMissing from error
                if error.status_code == _CONFLICT:
                    raise NameTaken from error
                raise
            return str(answer["Id"])

    def put(self, name: str, path: str, archive: bytes) -> None:
        """Unpack a tar archive in the container, at `path`."""
        try:
            with _missing_mapped("write the files", of_definition=True):
                self._connection.client.put_archive(name, path, archive)
        except ObjectMissing as missing:
            if self.inspect(name) is None:
                raise
            raise StepFailed(f"the container engine could not write the files: {missing}") from missing

    def stat(self, name: str, path: str) -> PathStat | None:
        """Describe a path in the container, whose last part may be a link. None when it does not exist."""
        with map_engine_errors("look at the files"):
            try:
                response = self._connection.open(
                    "HEAD",
                    f"/containers/{name}/archive",
                    params={"path": path},
                    headers=None,
                    timeout_s=CALL_TIMEOUT_S,
                )
            except docker.errors.NotFound:
                return None
            with closing(response):
                return PathStat.decode(response.headers["X-Docker-Container-Path-Stat"])

    def archive(self, name: str, path: str) -> requests.Response:
        """Return a tar archive of a path in the container, with its body still unread."""
        with _missing_mapped("read the files"):
            return self._connection.open(
                "GET",
                f"/containers/{name}/archive",
                params={"path": path},
                headers={"Accept-Encoding": "identity"},
                timeout_s=CALL_TIMEOUT_S,
            )

    def start(self, name: str) -> None:
        with _missing_mapped("start the container", of_definition=True):
            self._connection.client.start(name)

    def inspect(self, name: str) -> dict[str, Any] | None:
        with map_engine_errors("inspect the container"):
            try:
                container: dict[str, Any] = self._connection.client.inspect_container(name)
            except docker.errors.NotFound:
                return None
            return container

    def kill(self, name: str, signal: str) -> bool:
        """Send `signal` to the container. Return whether it was running."""
        with map_engine_errors("kill the container"):
            try:
                self._connection.open(
                    "POST",
                    f"/containers/{name}/kill",
                    params={"signal": signal},
                    headers=None,
                    timeout_s=_KILL_TIMEOUT_S,
                ).close()
            except docker.errors.APIError as error:
                if error.status_code in (_NOT_FOUND, _CONFLICT):
                    return False
                raise
            return True

    def remove_container(self, name: str) -> None:
        """Remove a container, running or not, with its anonymous volumes."""
        with map_engine_errors("remove the container"):
            try:
                self._connection.client.remove_container(name, v=True, force=True)
            except docker.errors.NotFound:
                return
            except docker.errors.APIError as error:
                if error.status_code != _CONFLICT:  # a conflict: it is being removed already
                    raise

    def containers(self, labels: list[str]) -> list[dict[str, Any]]:
        """Return the containers that have all of `labels`, running or not."""
        with map_engine_errors("list the containers"):
            containers: list[dict[str, Any]] = self._connection.client.containers(
                all=True, filters={"label": labels}
            )
            return containers

    # Output and exit of a container

    def attach(self, name: str) -> EngineStream:
        """Return what the container prints from now on, as an upgraded stream."""
        return self._stream(
            "POST",
            f"/containers/{name}/attach",
            call="attach to the container",
            params={"stdout": 1, "stderr": 1, "stream": 1},
            headers={"Connection": "Upgrade", "Upgrade": "tcp"},
        )

    def logs(self, name: str) -> EngineStream:
        """Return everything that the container has printed and prints until its end."""
        return self._stream(
            "GET",
            f"/containers/{name}/logs",
            call="read the output",
            params={"stdout": 1, "stderr": 1, "follow": 1},
        )

    def tail(self, name: str, *, lines: int) -> Iterator[bytes]:
        """Return the last `lines` lines that the container has printed, in the frames of `stream_frames`."""
        params = {"stdout": 1, "stderr": 1, "tail": lines}
        path = f"/containers/{name}/logs"
        with closing(self._stream("GET", path, call="read the output", params=params)) as stream:
            yield from stream.chunks()

    def wait(self, name: str) -> EngineStream:
        """Return the exit of a container whose output has ended, as JSON.

        The engine answers at once. If it does not, the output ended because its connection broke, and the
        container is running: reading raises EngineUnavailable after 10 seconds, and the step can be followed.
        """
        return self._stream(
            "POST",
            f"/containers/{name}/wait",
            call="wait for the container",
            header_timeout_s=_EXIT_TIMEOUT_S,
            timeout_s=_EXIT_TIMEOUT_S,
        )

    # Volumes and networks

    def volumes(self, labels: list[str]) -> list[dict[str, Any]]:
        with map_engine_errors("list the volumes"):
            answer: dict[str, Any] = self._connection.client.volumes(filters={"label": labels})
            return answer["Volumes"] or []

    def volume(self, name: str) -> dict[str, Any] | None:
        with map_engine_errors("inspect the volume"):
            try:
                volume: dict[str, Any] = self._connection.client.inspect_volume(name)
            except docker.errors.NotFound:
                return None
            return volume

    def remove_volume(self, name: str) -> None:
        with map_engine_errors("remove the volume"):
            try:
                self._connection.client.remove_volume(name, force=True)
            except docker.errors.NotFound:
                return

    def networks(self, labels: list[str]) -> list[dict[str, Any]]:
        with map_engine_errors("list the networks"):
            networks: list[dict[str, Any]] = self._connection.client.networks(filters={"label": labels})
            return networks

    def network(self, name: str) -> dict[str, Any] | None:
        with map_engine_errors("inspect the network", of_definition=True):
            try:
                network: dict[str, Any] = self._connection.client.inspect_network(name)
            except docker.errors.NotFound:
                return None
            return network

    def create_network(self, name: str, labels: dict[str, str]) -> None:
        """Create a bridge network, unless one of that name exists.

        Nothing in the call is a user's. So an error is the machine's, whatever its status: most often all
        addresses are in use, until other tasks have ended.
        """
        call = "create the network"
        with map_engine_errors(call):
            try:
                self._connection.client.create_network(name, "bridge", check_duplicate=True, labels=labels)
            except docker.errors.APIError as error:
                if error.status_code != _CONFLICT:
                    message = f"the container engine could not {call}: {api_error_message(error)}"
                    raise EngineFailed(message, call=call, limit=PASSING) from error

    def connect(self, network: str, container: str, aliases: list[str]) -> None:
        """Connect a container to a network, in which it has the host names `aliases`."""
        with _missing_mapped("connect the container to its network", of_definition=True):
            self._connection.client.connect_container_to_network(container, network, aliases=aliases or None)

    def remove_network(self, name: str) -> None:
        with map_engine_errors("remove the network"):
            try:
                self._connection.client.remove_network(name)
            except docker.errors.NotFound:
                return

    def _stream(
        self,
        method: str,
        path: str,
        *,
        call: str,
        params: Mapping[str, str | int] | None = None,
        headers: Mapping[str, str] | None = None,
        header_timeout_s: float = CALL_TIMEOUT_S,
        timeout_s: float | None = None,
    ) -> EngineStream:
        with _missing_mapped(call):
            response = self._connection.open(
                method, path, params=params, headers=headers, timeout_s=header_timeout_s
            )
        return EngineStream(response, timeout_s=timeout_s)


@contextmanager
def _missing_mapped(call: str, *, of_definition: bool = False) -> Iterator[None]:
    """Map the errors of a call that uses a container or network of ours. Raises ObjectMissing."""
    with map_engine_errors(call, of_definition=of_definition):
        try:
            yield
        except docker.errors.APIError as error:
            if error.status_code in (_NOT_FOUND, _CONFLICT):
                raise ObjectMissing(api_error_message(error)) from error
            raise
