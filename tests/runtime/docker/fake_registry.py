"""A minimal image registry on this host, from which the engine can pull one image."""

import base64
import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
TOKEN = "a-token"


class FakeRegistry:
    """Serves one image under any name.

    `pause` delays all answers until `resume`, and `status` replaces them by errors. `error_code` is that of
    the answer to a request for an image that is missing. `users` maps names to passwords; when it is not
    empty, only they may pull, by basic authentication or, if `with_tokens` is set, by a token that they get
    with it.
    """

    def __init__(self) -> None:
        self.status: int | None = None
        self.error_code: str | None = None
        self.users: dict[str, str] = {}
        self.with_tokens = False
        self.manifest_requests = 0
        self.request_received = threading.Event()
        self._resumed = threading.Event()
        self._resumed.set()
        self._blobs: dict[str, bytes] = {}
        self._manifest = b""
        self.address = ""

    def store(self, archive: bytes) -> None:
        """Store the image of an archive that the engine exported."""
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            index = json.loads(_member(tar, "manifest.json"))[0]
            config = self._add(_member(tar, index["Config"]))
            layers = [self._add(gzip.compress(_member(tar, name), 1)) for name in index["Layers"]]
        kind = "application/vnd.docker."
        self._manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {"mediaType": kind + "container.image.v1+json", **config},
                "layers": [{"mediaType": kind + "image.rootfs.diff.tar.gzip", **layer} for layer in layers],
            }
        ).encode()

    def pause(self) -> None:
        self._resumed.clear()

    def resume(self) -> None:
        self._resumed.set()

    def authorizes(self, path: str, authorization: str | None) -> bool:
        if not self.users:
            return True
        if self.with_tokens and not path.startswith("/token"):
            return authorization == f"Bearer {TOKEN}"
        pairs = (f"{name}:{password}".encode() for name, password in self.users.items())
        return authorization in {f"Basic {base64.b64encode(pair).decode()}" for pair in pairs}

    @property
    def challenge(self) -> str:
        if self.with_tokens:
            return f'Bearer realm="http://{self.address}/token",service="fake"'
        return 'Basic realm="fake"'

    def answer(self, path: str) -> tuple[int, str, bytes]:
        self.request_received.set()
        self._resumed.wait(60)
        if self.status is not None:
            return self.status, "text/plain", b""
        if path.startswith("/token"):
            return 200, "application/json", json.dumps({"token": TOKEN}).encode()
        if "/manifests/" in path and self._manifest:
            self.manifest_requests += 1
            return 200, MANIFEST, self._manifest
        if (blob := self._blobs.get(path.rpartition("/")[2])) is not None:
            return 200, "application/octet-stream", blob
        return (200, "application/json", b"{}") if path == "/v2/" else self._missing()

    def _missing(self) -> tuple[int, str, bytes]:
        if self.error_code is None:
            return 404, "text/plain", b""
        errors = {"errors": [{"code": self.error_code, "message": "unknown: i/o timeout", "detail": {}}]}
        return 404, "application/json", json.dumps(errors).encode()

    def _add(self, blob: bytes) -> dict[str, str | int]:
        digest = "sha256:" + hashlib.sha256(blob).hexdigest()
        self._blobs[digest] = blob
        return {"digest": digest, "size": len(blob)}


@contextmanager
def serving() -> Iterator[FakeRegistry]:
    """Run a registry, whose `address` is the prefix of its image names."""
    registry = FakeRegistry()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if not registry.authorizes(self.path, self.headers["Authorization"]):
                self.reject()
                return
            status, kind, body = registry.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Docker-Content-Digest", "sha256:" + hashlib.sha256(body).hexdigest())
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def reject(self) -> None:
            self.send_response(401)
            self.send_header("WWW-Authenticate", registry.challenge)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815  the base class requires this name

        def log_message(self, *_arguments: object) -> None:
            """Log nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_arguments: object) -> None:
            """Ignore connections that the engine closes when a pull is aborted."""

    with Server(("127.0.0.1", 0), Handler) as server:
        registry.address = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
        thread.start()
        yield registry
        registry.resume()
        server.shutdown()
        thread.join()


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file is not None
    return file.read()
