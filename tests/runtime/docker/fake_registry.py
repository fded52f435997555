"""A registry on this machine, for the engine to pull from: enough of one for a single image."""

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


class Registry:
    """Holds one image under any name. `hold` keeps answers back until `release`; `status` fails them all.
    Where `users` has passwords by name, only they may pull: by basic authentication or, `with_tokens`, by
    a token that they get with it."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.users: dict[str, str] = {}
        self.with_tokens = False
        self.manifests_asked = 0
        self.asked = threading.Event()
        self._open = threading.Event()
        self._open.set()
        self._blobs: dict[str, bytes] = {}
        self._manifest = b""
        self.address = ""

    def store(self, saved: bytes) -> None:
        """The image of an archive that the engine saved."""
        with tarfile.open(fileobj=io.BytesIO(saved)) as tar:
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

    def hold(self) -> None:
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    def admits(self, path: str, authorization: str | None) -> bool:
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
        self.asked.set()
        self._open.wait(60)
        if self.status is not None:
            return self.status, "text/plain", b""
        if path.startswith("/token"):
            return 200, "application/json", json.dumps({"token": TOKEN}).encode()
        if "/manifests/" in path and self._manifest:
            self.manifests_asked += 1
            return 200, MANIFEST, self._manifest
        if (blob := self._blobs.get(path.rpartition("/")[2])) is not None:
            return 200, "application/octet-stream", blob
        return (200, "application/json", b"{}") if path == "/v2/" else (404, "text/plain", b"")

    def _add(self, blob: bytes) -> dict[str, str | int]:
        digest = "sha256:" + hashlib.sha256(blob).hexdigest()
        self._blobs[digest] = blob
        return {"digest": digest, "size": len(blob)}


@contextmanager
def serving() -> Iterator[Registry]:
    registry = Registry()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if not registry.admits(self.path, self.headers["Authorization"]):
                self.refuse()
                return
            status, kind, body = registry.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Docker-Content-Digest", "sha256:" + hashlib.sha256(body).hexdigest())
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def refuse(self) -> None:
            self.send_response(401)
            self.send_header("WWW-Authenticate", registry.challenge)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815  the name that the base class looks for

        def log_message(self, *_arguments: object) -> None:
            """Not into the test's output."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_arguments: object) -> None:
            """The engine breaks off when a pull is broken off."""

    with Server(("127.0.0.1", 0), Handler) as server:
        registry.address = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=[0.05], daemon=True)
        thread.start()
        yield registry
        registry.release()
        server.shutdown()
        thread.join()


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file is not None
    return file.read()
