"""A receiver of webhook calls."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver(ThreadingHTTPServer):
    """Records calls as (headers, document), and answers 503 to the first `failures` calls."""

    def __init__(self, port: int, *, failures: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.failures_left = failures
        self.calls: list[tuple[dict[str, str], Any]] = []

    @property
    def states(self) -> list[str]:
        return [body["state"] for _, body in self.calls]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fail = self.server.failures_left > 0
        if fail:
            self.server.failures_left -= 1
        else:
            self.server.calls.append((dict(self.headers), body))
        self.send_response(503 if fail else 204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """Log nothing."""
