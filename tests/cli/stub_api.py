"""A stub of the API with canned responses."""

import json
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def page(*items: Any, total: int | None = None) -> dict[str, Any]:
    """Return a page with all items of a list."""
    return {
        "items": list(items),
        "number": 1,
        "size": len(items),
        "totalPages": 1,
        "totalItems": len(items) if total is None else total,
    }


class StubApi(ThreadingHTTPServer):
    """Answers with canned responses and records requests.

    `responses` maps a method and path such as "GET /jobs/1" to (status, document) pairs, which are used in
    order; the last one is repeated. A path without its query also matches. Logs without responses are empty.
    A status of 0 closes the connection without a response. `requests` are
    (method and path, content type, body), and `headers` those of the requests.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.responses: dict[str, list[tuple[int, Any]]] = {}
        self.requests: list[tuple[str, str, bytes]] = []
        self.headers: list[Message] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def next_response(self, request: str) -> tuple[int, Any]:
        path = request.partition("?")[0]
        default = (200, page()) if path.endswith("/log") else (404, {"message": "not found"})
        responses = self.responses.get(request) or self.responses.get(path) or [default]
        return responses.pop(0) if len(responses) > 1 else responses[0]


class _Handler(BaseHTTPRequestHandler):
    server: StubApi

    def do_GET(self) -> None:
        request = f"{self.command} {self.path}"
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append((request, self.headers.get("Content-Type", ""), body))
        self.server.headers.append(self.headers)
        status, document = self.server.next_response(request)
        if status == 0:
            self.close_connection = True
            return
        response = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(response)))
        self.end_headers()
        self.wfile.write(response)

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815  names of the base class

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """Log nothing."""
