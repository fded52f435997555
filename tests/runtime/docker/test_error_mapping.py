import pytest

from tork_celery.domain.errors import EngineUnavailable, StepFailed
from tork_celery.runtime.docker import error_mapping


@pytest.mark.parametrize(
    "text",
    [
        "pull access denied for foo, repository does not exist or may require 'docker login'",
        "manifest for busybox:nope not found: manifest unknown: manifest unknown",
        'Get "https://registry.example/v2/": dial tcp: lookup registry.example on 10.0.0.1:53: no such host',
        'Get "https://registry.example/v2/": dial tcp: lookup registry.example: i/o timeout',
        'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
        "unauthorized: authentication required",
    ],
)
def test_an_image_that_cannot_be_had_fails_the_task(text: str) -> None:
    error = error_mapping.of_pull("foo:bar", text)

    assert isinstance(error, StepFailed)
    assert str(error) == f'image "foo:bar" could not be pulled: {text}'


@pytest.mark.parametrize(
    "text",
    [
        "toomanyrequests: You have reached your pull rate limit",
        "received unexpected HTTP status: 503 Service Unavailable",
        'Get "https://registry.example/v2/": net/http: TLS handshake timeout',
        'Get "https://registry.example/v2/": dial tcp 192.0.2.1:443: i/o timeout',
        "read tcp 192.0.2.1:443: read: connection reset by peer",
        "unexpected EOF",
    ],
)
def test_a_registrys_bad_moment_does_not(text: str) -> None:
    assert isinstance(error_mapping.of_pull("foo:bar", text), EngineUnavailable)
