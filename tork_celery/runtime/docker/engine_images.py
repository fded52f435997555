"""Calls to the engine that pull, import and remove images."""

import docker.auth
import docker.errors
import docker.utils

from tork_celery.domain.definition import Registry
from tork_celery.runtime.docker.engine_connection import EngineConnection
from tork_celery.runtime.docker.engine_stream import EngineStream
from tork_celery.runtime.docker.error_mapping import api_error_message, map_engine_errors, one_line
from tork_celery.runtime.docker.host_credentials import CredentialsUnreadable, host_authorization

_BAD_REQUEST = 400
_CONFLICT = 409


class PullFailed(Exception):
    """The engine could not pull an image. The text is the engine's message, `status` its HTTP status."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


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
        authorization = _authorization(repository, credentials, timeout_s=timeout_s)
        with map_engine_errors("pull the image"):
            try:
                response = self._connection.open(
                    "POST",
                    "/images/create",
                    params={"fromImage": repository, "tag": tag or "latest"},
                    headers=authorization,
                    timeout_s=timeout_s,
                )
            except docker.errors.APIError as error:
                raise PullFailed(api_error_message(error), status=error.status_code) from error
        return EngineStream(response, timeout_s=None)

    def import_archive(self, archive: bytes, image: str) -> None:
        """Create an image from its file system, a tar archive. Raises EngineFailed when that is refused."""
        repository, tag = docker.utils.parse_repository_tag(image)
        with map_engine_errors("import the image"):
            self._connection.client.import_image_from_data(archive, repository=repository, tag=tag)

    def remove(self, image: str) -> bool:
        """Remove an image and return True. Return False when a container uses it. Raises EngineFailed."""
        with map_engine_errors("remove the image"):
            try:
                self._connection.client.remove_image(image)
            except docker.errors.NotFound:
                return True
            except docker.errors.APIError as error:
                if error.status_code != _CONFLICT:
                    raise
                return False
            return True


def _authorization(repository: str, credentials: Registry | None, *, timeout_s: float) -> dict[str, bytes]:
    try:
        registry, _ = docker.auth.resolve_repository_name(repository)
    except docker.errors.InvalidRepository as error:
        raise PullFailed(one_line(str(error)), status=_BAD_REQUEST) from error
    if credentials is None:
        return _host_authorization(registry, timeout_s=timeout_s)
    config = {
        "username": credentials.username,
        "password": credentials.password,
        "serveraddress": registry,
    }
    return {"X-Registry-Auth": docker.auth.encode_header(config)}


def _host_authorization(registry: str, *, timeout_s: float) -> dict[str, bytes]:
    try:
        header = host_authorization(registry, timeout_s=timeout_s)
    except CredentialsUnreadable as error:
        raise PullFailed(f"this host's credentials for {registry} cannot be read: {error}") from error
    return {"X-Registry-Auth": header} if header else {}
