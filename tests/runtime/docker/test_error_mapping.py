import pytest

from tork_celery.domain.errors import EngineUnavailable, StepFailed
from tork_celery.runtime.docker.error_mapping import map_pull_error


@pytest.mark.parametrize(
    "message",
    [
        "pull access denied for foo, repository does not exist or may require 'docker login'",
        "manifest for busybox:nope not found: manifest unknown: manifest unknown",
        'Get "https://registry.example/v2/": dial tcp: lookup registry.example on 10.0.0.1:53: no such host',
        'Get "https://registry.example/v2/": dial tcp: lookup registry.example: i/o timeout',
        'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
        "unauthorized: authentication required",
    ],
)
def test_permanent_pull_error_fails_the_step(message: str) -> None:
    error = map_pull_error("foo:bar", message)

    assert isinstance(error, StepFailed)
    assert str(error) == f'image "foo:bar" could not be pulled: {message}'


@pytest.mark.parametrize(
    "message",
    [
        "toomanyrequests: You have reached your pull rate limit",
        "received unexpected HTTP status: 503 Service Unavailable",
        'Get "https://registry.example/v2/": net/http: TLS handshake timeout',
        'Get "https://registry.example/v2/": dial tcp 192.0.2.1:443: i/o timeout',
        "read tcp 192.0.2.1:443: read: connection reset by peer",
        "unexpected EOF",
    ],
)
def test_temporary_pull_error_is_engine_unavailable(message: str) -> None:
    assert isinstance(map_pull_error("foo:bar", message), EngineUnavailable)
