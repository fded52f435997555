"""The credentials that the Docker configuration of this host has for registries.

They are those that `docker login` stored in ~/.docker/config.json (or the directory DOCKER_CONFIG), or that a
credential helper named there returns.
"""

import shutil
import subprocess

import docker.auth
import docker.errors
from docker.credentials import Store
from docker.credentials.constants import PROGRAM_PREFIX
from docker.credentials.errors import StoreError, process_store_error

from tork_celery.runtime.docker.error_mapping import one_line

HELPER_TIMEOUT_S = 30.0
DAMAGED_CONFIGURATION = (ValueError, LookupError, TypeError, AttributeError)
"""What the SDK raises for a configuration, or for an answer of a helper, in another form than it expects."""


class CredentialsUnreadable(Exception):
    """The configuration is damaged, or its credential helper failed."""


def host_authorization(registry: str, *, timeout_s: float) -> bytes | None:
    """Return the header X-Registry-Auth for a registry, or None if this host has no credentials for it.

    A credential helper has `timeout_s` seconds to answer, and at most HELPER_TIMEOUT_S. The configuration is
    read each time, since `docker login` may have changed it. Raises CredentialsUnreadable.
    """
    try:
        configuration = _Configuration.load_config(None, None)
        configuration.helper_timeout_s = min(timeout_s, HELPER_TIMEOUT_S)
        found = configuration.resolve_authconfig(registry)
        return docker.auth.encode_header(found) if found else None
    except (docker.errors.DockerException, OSError) as error:
        raise CredentialsUnreadable(one_line(str(error))) from error
    except DAMAGED_CONFIGURATION as error:
        raise CredentialsUnreadable(one_line(f"{type(error).__name__}: {error}")) from error


class _Configuration(docker.auth.AuthConfig):
    helper_timeout_s = HELPER_TIMEOUT_S

    def _get_store_instance(self, name: str) -> Store:
        return _Helper(name, timeout_s=self.helper_timeout_s)


class _Helper(Store):
    """A credential helper, which the SDK would wait for without limit."""

    def __init__(self, name: str, *, timeout_s: float) -> None:
        # The base class warns of a missing program.
        self.program = PROGRAM_PREFIX + name
        self.exe = shutil.which(self.program)
        self._timeout_s = timeout_s

    def _execute(self, subcmd: str, data_input: bytes) -> bytes:
        if self.exe is None:
            raise StoreError(f"{self.program} is not installed, or not on the PATH of this worker")
        command = [self.exe, subcmd]
        try:
            done = subprocess.run(  # noqa: S603  the configuration of this host names the program
                command, input=data_input, stdout=subprocess.PIPE, timeout=self._timeout_s, check=True
            )
        except subprocess.TimeoutExpired as error:
            raise StoreError(f"{self.program} has not answered within {self._timeout_s:g} s") from error
        except subprocess.CalledProcessError as error:
            raise process_store_error(error, self.program) from error
        return done.stdout
