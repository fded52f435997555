"""The HTTP client of webhooks: results, deadlines, and the addresses that it connects to."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.serving import serving
from tork_celery.domain.webhook_targets import WebhookTargets
from tork_celery.domain.webhooks import WebhookCall
from tork_celery.services.webhook_client import DeliveryResult, WebhookClient
from tork_celery.services.webhook_connections import AddressInfo

PUBLIC_ONLY = WebhookTargets()
TIMEOUT_S = 0.3
LATE = (DeliveryResult.RETRY, f"no answer within {TIMEOUT_S:g} s")


def post(url: str, *, client: WebhookClient | None = None, **values: Any) -> tuple[DeliveryResult, str]:
    call = WebhookCall(
        **{"stream": "s", "job_id": "j", "event": "e", "url": url, "headers": {}, "body": "{}"} | values
    )
    return (client or WebhookClient()).post(call)


class HttpReceiver(ThreadingHTTPServer):
    """Answers each request with the status that its path names."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: HttpReceiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((dict(self.headers), body))
        self.send_response(int(self.path.rpartition("/")[2]))
        self.send_header("Location", "/200")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """Log nothing."""


@pytest.fixture
def http_receiver() -> Iterator[HttpReceiver]:
    with serving(HttpReceiver()) as server:
        yield server


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (200, DeliveryResult.DELIVERED),
        (204, DeliveryResult.DELIVERED),
        (302, DeliveryResult.REJECTED),
        (404, DeliveryResult.REJECTED),
        (429, DeliveryResult.RETRY),
        (500, DeliveryResult.RETRY),
        (503, DeliveryResult.RETRY),
    ],
)
def test_response_status_decides_the_result(
    http_receiver: HttpReceiver, status: int, result: DeliveryResult
) -> None:
    assert post(f"{http_receiver.url}/{status}") == (result, f"the receiver answered {status}")
    assert len(http_receiver.requests) == 1


def test_headers_and_body_are_sent_unchanged(http_receiver: HttpReceiver) -> None:
    headers = {"content-type": "text/x", "X-Name": "ü"}
    body = '{"a": "\\u00fc"}'

    post(f"{http_receiver.url}/200", headers=headers, body=body)

    received_headers, received_body = http_receiver.requests[-1]
    assert received_body == body.encode()
    assert received_headers["content-type"] == "text/x"
    assert received_headers["X-Name"] == "ü".encode().decode("latin-1")


def test_default_content_type_is_json(http_receiver: HttpReceiver) -> None:
    post(f"{http_receiver.url}/200")

    assert http_receiver.requests[-1][0]["Content-Type"] == "application/json"


def test_user_information_of_a_url_is_basic_authentication(http_receiver: HttpReceiver) -> None:
    post(f"http://ada:pass%40word@127.0.0.1:{http_receiver.server_port}/200")

    assert http_receiver.requests[-1][0]["Authorization"] == "Basic YWRhOnBhc3NAd29yZA=="


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://nowhere.invalid/"])
def test_unreachable_receiver_is_tried_again(url: str) -> None:
    assert post(url) == (DeliveryResult.RETRY, "ConnectionError")


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http://a..b/",
        "http://[bad/",
        "http://[::1",
        "http://::1]/",
        "http://[::1]]:80/",
        "http://[1.2.3.4]/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:port/",
        "http://a:1:2/",
        "http://@/",
        "http://:80/",
        "http://%zz/",
        "http://\u2100/",
        "http://xn--\u00fc/",
        "http://\u0438:\u0438@127.0.0.1:1/",
        "http://" + "ü" * 300 + "/",
        "http://" + "a" * 64 + ".example/",
        "http://" + "[::" * 2000,
        "http://" + "@" * 8000,
    ],
)
@pytest.mark.parametrize("targets", [None, PUBLIC_ONLY])
def test_invalid_url_is_rejected(url: str, targets: WebhookTargets | None) -> None:
    assert post(url, client=WebhookClient(targets=targets))[0] is DeliveryResult.REJECTED


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/" + "%" * 8000, "http://127.0.0.1:1/?" + "ü" * 8000])
def test_odd_path_is_sent(url: str) -> None:
    assert post(url) == (DeliveryResult.RETRY, "ConnectionError")


class SocketReceiver:
    """Accepts connections and passes each to `talk`, until it is closed."""

    def __init__(self, talk: Callable[[socket.socket, threading.Event], None]) -> None:
        self._talk = talk
        self.closed = threading.Event()
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        self.closed.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                with connection, suppress(OSError):
                    self._talk(connection, self.closed)


Receiving = Callable[[Callable[[socket.socket, threading.Event], None]], SocketReceiver]


@pytest.fixture
def receiving() -> Iterator[Receiving]:
    """Return a function that starts a receiver; it is closed after the test."""
    receivers: list[SocketReceiver] = []

    def start(talk: Callable[[socket.socket, threading.Event], None]) -> SocketReceiver:
        receivers.append(SocketReceiver(talk))
        return receivers[-1]

    yield start
    for receiver in receivers:
        receiver.close()


def keep_silent(_connection: socket.socket, closed: threading.Event) -> None:
    closed.wait()


def drip(beginning: bytes, repeated: bytes) -> Callable[[socket.socket, threading.Event], None]:
    """Return a conversation that sends one byte after the other, without an end."""

    def talk(connection: socket.socket, closed: threading.Event) -> None:
        rest = beginning
        while not closed.wait(0.01):
            rest = rest or repeated
            connection.sendall(rest[:1])
            rest = rest[1:]

    return talk


TLS_HANDSHAKE = b"\x16\x03\x03\x40\x00"  # the header of a record of 16 KiB


@pytest.mark.parametrize(
    ("scheme", "talk"),
    [
        ("http", keep_silent),
        ("http", drip(b"HTTP/1.1 200 ", b"O")),
        ("http", drip(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n")),
        ("http", drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n")),
        ("https", keep_silent),
        ("https", drip(TLS_HANDSHAKE, b"\x00")),
    ],
    ids=["silence", "status", "headers", "continue", "tls silence", "tls handshake"],
)
def test_slow_receiver_is_cut_off_at_the_deadline(
    receiving: Receiving, scheme: str, talk: Callable[[socket.socket, threading.Event], None]
) -> None:
    receiver = receiving(talk)

    client = WebhookClient(timeout_s=TIMEOUT_S)
    assert post(f"{scheme}://127.0.0.1:{receiver.port}/", client=client) == LATE


def test_receiver_that_reads_nothing_is_cut_off_at_the_deadline(receiving: Receiving) -> None:
    receiver = receiving(keep_silent)

    client = WebhookClient(timeout_s=TIMEOUT_S)
    assert post(f"http://127.0.0.1:{receiver.port}/", client=client, body="x" * 50_000_000) == LATE


def test_lookup_that_hangs_is_cut_off_at_the_deadline() -> None:
    release = threading.Event()

    def lookup(*_: Any) -> list[AddressInfo]:
        release.wait(30)
        return []

    client = WebhookClient(timeout_s=TIMEOUT_S, lookup=lookup)
    assert post("http://slow.example/", client=client) == LATE
    release.set()


def test_body_of_a_redirect_is_not_read(receiving: Receiving) -> None:
    def send_without_end(connection: socket.socket, closed: threading.Event) -> None:
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://[bad/\r\n\r\n")
        while not closed.is_set():
            connection.sendall(b"x" * 1000)

    receiver = receiving(send_without_end)

    assert post(f"http://127.0.0.1:{receiver.port}/") == (
        DeliveryResult.REJECTED,
        "the receiver answered 302",
    )


class FakeDns:
    """Answers lookups with addresses, in turn, and with the port of a receiver."""

    def __init__(self, *answers: list[str], port: int) -> None:
        self.answers = list(answers)
        self.port = port
        self.lookups = 0

    def __call__(self, *_: Any) -> list[AddressInfo]:
        self.lookups += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, self.port),
            )
            for address in answer
        ]


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "0x7f000001",
        "2130706433",
        "0.0.0.0",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::]",
        "user@127.0.0.1",
        "1.1.1.1@127.0.0.1",
    ],
)
def test_loopback_is_refused_without_a_connection(receiving: Receiving, host: str) -> None:
    receiver = receiving(lambda *_: None)

    result, reason = post(f"http://{host}:{receiver.port}/", client=WebhookClient(targets=PUBLIC_ONLY))

    assert result is DeliveryResult.REJECTED
    assert reason.endswith("is not a public address; allow the host or its network with TORK_WEBHOOK_TARGETS")
    assert receiver.connections == 0


@pytest.mark.parametrize("targets", [["127.0.0.1"], ["127.0.0.0/8"], ["10.0.0.0/8", "LocalHost"]])
def test_allowed_target_is_called(http_receiver: HttpReceiver, targets: list[str]) -> None:
    client = WebhookClient(targets=WebhookTargets.parse(targets))

    result, _ = post(f"http://localhost:{http_receiver.server_port}/200", client=client)

    assert result is DeliveryResult.DELIVERED


def test_second_answer_of_the_dns_server_has_no_effect(receiving: Receiving) -> None:
    receiver = receiving(lambda *_: None)
    dns = FakeDns(["203.0.113.1", "169.254.169.254"], ["127.0.0.1"], port=receiver.port)

    result, _ = post("http://rebinding.example/", client=WebhookClient(targets=PUBLIC_ONLY, lookup=dns))

    assert (result, dns.lookups, receiver.connections) == (DeliveryResult.REJECTED, 1, 0)


def test_private_address_beside_an_allowed_one_is_not_connected_to(http_receiver: HttpReceiver) -> None:
    client = WebhookClient(
        targets=WebhookTargets.parse(["127.0.0.1"]),
        lookup=FakeDns(["127.0.0.2", "10.0.0.1", "127.0.0.1"], port=http_receiver.server_port),
    )

    assert post("http://mixed.example/200", client=client)[0] is DeliveryResult.DELIVERED


def test_next_address_is_tried_when_the_first_refuses(http_receiver: HttpReceiver) -> None:
    client = WebhookClient(lookup=FakeDns(["127.0.0.2", "127.0.0.1"], port=http_receiver.server_port))

    assert post("http://two.example/200", client=client)[0] is DeliveryResult.DELIVERED


def test_proxy_of_the_environment_is_used_only_where_any_target_is_allowed(
    http_receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, http_receiver.url)
    url = "http://192.168.255.254/200"
    restricted = WebhookClient(targets=WebhookTargets.parse(["127.0.0.1"]))  # the proxy itself is allowed

    assert post(url, client=restricted)[0] is DeliveryResult.REJECTED
    assert http_receiver.requests == []
    assert post(url)[0] is DeliveryResult.DELIVERED
    assert len(http_receiver.requests) == 1


SELF_SIGNED = [
    *["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"],
    *["-addext", "subjectAltName=DNS:localhost"],
]


def test_certificate_of_a_receiver_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", *SELF_SIGNED, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = HttpReceiver()
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = f"https://localhost:{server.server_port}/204"
    client = WebhookClient(targets=WebhookTargets.parse(["localhost"]))

    with serving(server):
        assert post(url, client=client) == (DeliveryResult.RETRY, "SSLError")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        assert post(url, client=client)[0] is DeliveryResult.DELIVERED
