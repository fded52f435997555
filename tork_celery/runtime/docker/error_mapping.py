"""Mapping of the engine's errors to StepFailed (the step can never run) and EngineUnavailable (try again)."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import docker.errors
import urllib3.exceptions

from tork_celery.domain.errors import EngineUnavailable, StepFailed, TorkError

_SERVER_ERROR = 500
_MAX_MESSAGE_LENGTH = 500

# The engine answers 500 to some definitions that can never run. Its message then quotes the operating system.
_INVALID_DEFINITION = re.compile(
    r"executable file not found|no such file or directory|is a directory|not a directory"
    r"|permission denied|exec format error|can't contain null|invalid argument"
    r"|could not select device driver|nvidia-container-cli",
)
# Temporary: subnets are free again when other tasks have ended.
_NO_FREE_SUBNET = re.compile(r"non-overlapping IPv4 address pool|address pools have been fully subnetted")
# What containerd and runc wrap around the reason.
_WRAPPING = re.compile(r".*(?:unable to start container process: |process caused: )|: unknown$")

_TEMPORARY_PULL_ERROR = re.compile(
    r"toomanyrequests|rate limit|unexpected HTTP status: 5\d\d|received unexpected HTTP status"
    r"|service unavailable|bad gateway|internal server error|timeout|timed out|deadline exceeded"
    r"|connection reset|unexpected EOF|: EOF|no space left on device",
    re.IGNORECASE,
)
# Not temporary, even when the message also has "timeout": the registry does not exist.
_NO_SUCH_REGISTRY = re.compile(r"\blookup \S+|no such host|connection refused")


@contextmanager
def map_engine_errors() -> Iterator[None]:
    """Raise the errors of the engine and of its connection as StepFailed or EngineUnavailable."""
    try:
        yield
    except docker.errors.APIError as error:
        raise map_api_error(error) from error
    except (docker.errors.DockerException, urllib3.exceptions.HTTPError, OSError) as error:
        raise map_connection_error(error) from error


@contextmanager
def name_sidecar_in_errors(name: str | None) -> Iterator[None]:
    """Prefix the message of a StepFailed with the name of the sidecar that failed."""
    try:
        yield
    except StepFailed as error:
        raise StepFailed(f'the sidecar "{name}": {error}') from error


def map_api_error(error: docker.errors.APIError) -> TorkError:
    """Map an error that the engine answered."""
    message = api_error_message(error)
    if _NO_FREE_SUBNET.search(message):
        return EngineUnavailable(f"the container engine has no address left for another network: {message}")
    if (error.status_code or _SERVER_ERROR) < _SERVER_ERROR or _INVALID_DEFINITION.search(message):
        return StepFailed(f"the container engine refuses to run this: {_WRAPPING.sub('', message)}")
    return EngineUnavailable(f"the container engine failed: {message}")


def map_connection_error(error: Exception) -> EngineUnavailable:
    return EngineUnavailable(f"the container engine does not answer: {_root_cause(error)}")


def map_pull_error(image: str, message: str) -> TorkError:
    """Map the message of a failed pull. Errors of a registry that may soon work are EngineUnavailable."""
    text = f'image "{image}" could not be pulled: {one_line(message)}'
    if _TEMPORARY_PULL_ERROR.search(message) and not _NO_SUCH_REGISTRY.search(message):
        return EngineUnavailable(text)
    return StepFailed(text)


def api_error_message(error: docker.errors.APIError) -> str:
    """Return the engine's message as one line."""
    return one_line(str(error.explanation or error))


def one_line(text: str) -> str:
    """Return `text` on one line, cut to 500 characters."""
    return " ".join(text.split())[:_MAX_MESSAGE_LENGTH]


def _root_cause(error: BaseException) -> str:
    """Return the message of the innermost OSError. requests and urllib3 wrap it several times."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return one_line(str(error)) or type(error).__name__
