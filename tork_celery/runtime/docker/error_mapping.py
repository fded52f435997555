"""What a failure of the engine means: the step's own fault, or the machinery's."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import docker.errors
import urllib3.exceptions

from tork_celery.domain.errors import EngineUnavailable, StepFailed, TorkError

_SERVER_ERROR = 500
_LONGEST_REASON = 500

# The engine answers 500 to some definitions that can never run, with these words of the operating system.
_FAULT_OF_THE_DEFINITION = re.compile(
    r"executable file not found|no such file or directory|is a directory|not a directory"
    r"|permission denied|exec format error|can't contain null|invalid argument"
    r"|could not select device driver|nvidia-container-cli",
)
# There will be room again when other tasks have ended.
_FULL = re.compile(r"non-overlapping IPv4 address pool|address pools have been fully subnetted")
# What the layers below the engine put around the reason.
_WRAPPING = re.compile(r".*(?:unable to start container process: |process caused: )|: unknown$")

# A registry's bad moment. A registry that does not exist (no such host, connection refused) is none: it
# would be waited for in vain.
_PASSING = re.compile(
    r"toomanyrequests|rate limit|unexpected HTTP status: 5\d\d|received unexpected HTTP status"
    r"|service unavailable|bad gateway|internal server error|timeout|timed out|deadline exceeded"
    r"|connection reset|unexpected EOF|: EOF|no space left on device",
    re.IGNORECASE,
)
_NO_REGISTRY = re.compile(r"\blookup \S+|no such host|connection refused")


@contextmanager
def translated() -> Iterator[None]:
    """The engine's errors as ours: StepFailed or EngineUnavailable."""
    try:
        yield
    except docker.errors.APIError as error:
        raise of_answer(error) from error
    except (docker.errors.DockerException, urllib3.exceptions.HTTPError, OSError) as error:
        raise unreachable(error) from error


@contextmanager
def of_sidecar(name: str | None) -> Iterator[None]:
    """Say of a failure that it is the sidecar's."""
    try:
        yield
    except StepFailed as error:
        raise StepFailed(f'the sidecar "{name}": {error}') from error


def of_answer(error: docker.errors.APIError) -> TorkError:
    """What it means that the engine refused a call."""
    text = reason(error)
    if _FULL.search(text):
        return EngineUnavailable(f"the container engine has no address left for another network: {text}")
    if (error.status_code or _SERVER_ERROR) < _SERVER_ERROR or _FAULT_OF_THE_DEFINITION.search(text):
        return StepFailed(f"the container engine refuses to run this: {_WRAPPING.sub('', text)}")
    return EngineUnavailable(f"the container engine failed: {text}")


def unreachable(error: Exception) -> EngineUnavailable:
    return EngineUnavailable(f"the container engine does not answer: {_innermost(error)}")


def of_pull(image: str, text: str) -> TorkError:
    """What it means that a pull failed with `text`."""
    message = f'image "{image}" could not be pulled: {one_line(text)}'
    if _PASSING.search(text) and not _NO_REGISTRY.search(text):
        return EngineUnavailable(message)
    return StepFailed(message)


def reason(error: docker.errors.APIError) -> str:
    """What the engine said, as one line."""
    return one_line(str(error.explanation or error))


def one_line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_REASON]


def _innermost(error: BaseException) -> str:
    """The operating system's word for it, which the layers above wrap several times."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
        inner = inner.__cause__ or inner.__context__
    return one_line(str(error)) or type(error).__name__
