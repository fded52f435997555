"""Failed pulls: which are tried again, and that no user's text decides it."""

import pytest

from tork_celery.domain.backoff import PASSING, UNKNOWN, RetryLimit
from tork_celery.runtime.docker.pull_errors import REGISTRY, retry_limit

GET = 'Get "https://registry.example/v2/": '
CONTAINERD = 'failed to resolve reference "docker.io/a/b:1": '


@pytest.mark.parametrize(
    "message",
    [
        "toomanyrequests: You have reached your pull rate limit",
        'error parsing HTTP 429 response body: unexpected end of JSON input: ""',
        "received unexpected HTTP status: 503 Service Unavailable",
        "unavailable: the registry is down",
        f"{GET}net/http: TLS handshake timeout",
        f"{GET}net/http: request canceled (Client.Timeout exceeded while awaiting headers)",
        f"{GET}context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
        f"{GET}dial tcp 192.0.2.1:443: i/o timeout",
        f"{GET}dial tcp: lookup r.example on 127.0.0.53:53: read udp 127.0.0.1:1->127.0.0.53:53: i/o timeout",
        f"{GET}dial tcp: lookup registry.example: Temporary failure in name resolution",
        f"{GET}dial tcp: lookup registry.example on 10.0.0.1:53: server misbehaving",
        f"{GET}dial tcp 192.0.2.1:443: connect: network is unreachable",
        f"{GET}dial tcp 127.0.0.1:1: connect: connection refused",
        f"{GET}EOF",
        "Temporary failure in name resolution",
        "server misbehaving",
        "read tcp 10.0.0.1:1->192.0.2.1:443: read: connection reset by peer",
        "error pulling image configuration: download failed after attempts=6: unexpected EOF",
        f"{CONTAINERD}failed to do request: {GET}dial tcp: lookup registry.example: i/o timeout",
        f"{CONTAINERD}unexpected status from HEAD request to https://r.example/v2/a: 502 Bad Gateway",
    ],
)
def test_fault_of_a_registry_or_network_is_tried_again_for_the_whole_timeout(message: str) -> None:
    assert retry_limit(message, 500) is REGISTRY
    assert retry_limit(message, None) is REGISTRY


@pytest.mark.parametrize(
    "message",
    [
        'error parsing HTTP 404 response body: unexpected end of JSON input: ""',
        "unauthorized: authentication required",
        'Head "http://127.0.0.1:5997/v2/x/manifests/2": no basic auth credentials',
        'Head "http://127.0.0.1:5997/v2/x/manifests/2": unauthorized: authentication required',
        f"{GET}x509: certificate signed by unknown authority",
        f"{GET}http: server gave HTTP response to HTTPS client",
        "no matching manifest for linux/arm64 in the manifest list entries",
    ],
)
def test_permanent_fault_is_not_tried_again(message: str) -> None:
    assert retry_limit(message, 500) is None


@pytest.mark.parametrize(
    ("message", "limit"),
    [
        (f"{GET}dial tcp: lookup registry.example on 10.0.0.1:53: no such host", UNKNOWN),
        ("write /var/lib/docker/tmp/GetImageBlob1: no space left on device", PASSING),
        ("filesystem layer verification failed for digest sha256:00", UNKNOWN),
    ],
)
def test_other_fault_is_tried_again_briefly(message: str, limit: RetryLimit) -> None:
    assert retry_limit(message, 500) is limit


@pytest.mark.parametrize(
    ("status", "limit"), [(400, None), (401, None), (404, None), (408, REGISTRY), (429, REGISTRY)]
)
def test_status_wins_over_the_message(status: int, limit: RetryLimit | None) -> None:
    assert retry_limit("unauthorized: i/o timeout", status) is limit


@pytest.mark.parametrize(
    "name",
    [
        "127.0.0.1:5997/timeout-tester:1",
        "x/internal-timeout:2",
        "toomanyrequests/unavailable:EOF",
        "toomanyrequests:1",
        "unavailable:1",
        "denied:1",
        "io-timeout.connection-refused/dial/tcp:server-misbehaving",
        "unauthorized/x509:no-such-host",
    ],
)
@pytest.mark.parametrize(
    ("template", "status", "limit"),
    [
        ("manifest for {} not found: manifest unknown: manifest unknown", 404, None),
        ("pull access denied for {}, repository does not exist", 404, None),
        ('Head "http://{}": no basic auth credentials', 500, None),
        ('Get "http://{}": dial tcp: lookup {}: i/o timeout', 500, REGISTRY),
        ("something unexpected about {}", 500, UNKNOWN),
        ("{}", 500, UNKNOWN),
        ("something unexpected: {}", 500, UNKNOWN),
    ],
)
def test_name_of_an_image_does_not_decide(
    name: str, template: str, status: int, limit: RetryLimit | None
) -> None:
    assert retry_limit(template.format(name, name), status) is limit
