"""Mapping of the engine's errors, by what failed and by HTTP status, never by the words of a message.

- EngineUnavailable: the engine does not answer.
- EngineFailed: it answers with an error that may pass.
- StepFailed: it refuses the step as it is defined.
"""

import http.client
import re
from collections.abc import Iterator
from contextlib import contextmanager

import docker.errors
import requests
import urllib3.exceptions

from tork_celery.domain.errors import EngineFailed, EngineUnavailable, StepFailed, TorkError

_SERVER_ERROR = 500
_MAX_MESSAGE_LENGTH = 16 * 1024  # long: no mask finds a secret that is cut
_TAIL_LENGTH = 150  # of a message that is cut: the reason is at its end

# What containerd and runc wrap around the reason.
_WRAPPING = re.compile(r".*(?:unable to start container process: |process caused: )|: unknown$")

_NO_ANSWER = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,  # the connection broke
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
)
_UNREADABLE_ANSWER = (requests.RequestException, docker.errors.DockerException)


@contextmanager
def map_engine_errors(call: str, *, of_definition: bool = False) -> Iterator[None]:
    """Map the errors of a call of the engine. `call` names it, for example "start the container".

    `of_definition` says that the call passes what a user wrote, so that a refusal (4xx) fails the step.
    """
    try:
        yield
    except docker.errors.APIError as error:
        raise map_api_error(error, call, of_definition=of_definition) from error
    except _NO_ANSWER as error:
        raise map_connection_error(error) from error
    except _UNREADABLE_ANSWER as error:
        raise EngineFailed(
            f"the container engine's answer cannot be read: {one_line(str(error))}", call=call
        ) from error
    except OSError as error:
        raise map_connection_error(error) from error


@contextmanager
def name_sidecar_in_errors(name: str | None) -> Iterator[None]:
    """Prefix the message of an error that fails the step with the name of the sidecar that it concerns."""
    try:
        yield
    except StepFailed as error:
        raise StepFailed(f'the sidecar "{name}": {error}') from error
    except EngineFailed as error:
        raise EngineFailed(f'the sidecar "{name}": {error}', call=error.call, limit=error.limit) from error


def map_api_error(error: docker.errors.APIError, call: str, *, of_definition: bool = False) -> TorkError:
    """Map an error that the engine answered."""
    message = _WRAPPING.sub("", api_error_message(error))
    if of_definition and (error.status_code or _SERVER_ERROR) < _SERVER_ERROR:
        return StepFailed(f"the container engine refuses to run this: {message}")
    return EngineFailed(f"the container engine could not {call}: {message}", call=call)


def map_connection_error(error: Exception) -> EngineUnavailable:
    return EngineUnavailable(f"the container engine does not answer: {_root_cause(error)}")


def api_error_message(error: docker.errors.APIError) -> str:
    """Return the engine's message as one line."""
    return one_line(str(error.explanation or error))


def one_line(text: str) -> str:
    """Return `text` on one line, of at most 16,384 characters: a longer one is cut in its middle."""
    line = " ".join(text.split())
    if len(line) <= _MAX_MESSAGE_LENGTH:
        return line
    return f"{line[: _MAX_MESSAGE_LENGTH - _TAIL_LENGTH - 3]}...{line[-_TAIL_LENGTH:]}"


def _root_cause(error: BaseException) -> str:
    """Return the message of the innermost error, which requests and urllib3 wrap several times."""
    innermost = error
    while (cause := innermost.__cause__ or innermost.__context__) is not None:
        innermost = cause
    system_message = innermost.strerror if isinstance(innermost, OSError) else None
    return system_message or one_line(str(innermost)) or type(innermost).__name__
