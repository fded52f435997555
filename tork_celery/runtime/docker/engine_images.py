"""Calls to the engine that pull and remove images."""

import docker.auth
import docker.errors
import docker.utils

from tork_celery.domain.definition import Registry
from tork_celery.runtime.docker.engine_connection import EngineConnection
from tork_celery.runtime.docker.engine_stream import EngineStream
from tork_celery.runtime.docker.error_mapping import api_error_message, map_engine_errors, one_line

_CONFLICT = 409


class PullFailed(Exception):
    """The engine could not pull an image. The text is the engine's message."""


class EngineImages:
    """The images of one engine. Thread-safe. Raises EngineUnavailable."""

    def __init__(self, connection: EngineConnection) -> None:
        self._connection = connection

    def pull(self, image: str, credentials: Registry | None, *, timeout_s: float) -> EngineStream:
        """Start a pull. Return its progress as a stream of JSON objects, one on each line.

        Without `credentials`, those that this host has for the registry are used, as every client of Docker
        does. The engine sends nothing before the registry has answered, for at most `timeout_s` seconds.
        Raises PullFailed.
        """
        repository, tag = docker.utils.parse_repository_tag(image)
        with map_engine_errors():
            try:
                response = self._connection.open(
                    "POST",
                    "/images/create",
                    params={"fromImage": repository, "tag": tag or "latest"},
                    headers=self._authorization(repository, credentials),
                    timeout_s=timeout_s,
                )
            except docker.errors.APIError as error:
                raise PullFailed(api_error_message(error)) from error
        return EngineStream(response, timeout_s=None)

    def remove(self, image: str) -> bool:
        """Remove an image and return True. Return False when a container uses it. Raises StepFailed."""
        with map_engine_errors():
            try:
                self._connection.client.remove_image(image)
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
            raise PullFailed(one_line(str(error))) from error
        if credentials is None:
            header = docker.auth.get_config_header(self._connection.client, registry)
            return {"X-Registry-Auth": header} if header else {}
        config = {
            "username": credentials.username,
            "password": credentials.password,
            "serveraddress": registry,
        }
        return {"X-Registry-Auth": docker.auth.encode_header(config)}
