"""Calls of a WSGI application with a request that is complete."""

import io
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes
from wsgiref.types import WSGIApplication

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: Headers
    body: bytes


def environ(scope: Mapping[str, Any], body: bytes) -> dict[str, Any]:
    """Return the WSGI environment of an ASGI request. Headers that occur twice are joined by a comma."""
    host, port = scope.get("server") or ("localhost", 80)
    made: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": (scope.get("client") or ("", 0))[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        key = name.decode("latin-1").upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        text = value.decode("latin-1")
        made[key] = f"{made[key]},{text}" if key in made else text
    made.pop("HTTP_TRANSFER_ENCODING", None)
    made["CONTENT_LENGTH"] = str(len(body))
    return made


def call(app: WSGIApplication, environment: dict[str, Any]) -> Response:
    """Call the application and return its whole response."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], _: object = None
    ) -> Callable[[bytes], object]:
        started[:] = [(status, headers)]
        return lambda _: None

    chunks: Iterable[bytes] = app(environment, start_response)
    try:
        body = b"".join(chunks)
    finally:
        if (close := getattr(chunks, "close", None)) is not None:
            close()
    status, headers = started[0]
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return Response(int(status.split(" ", 1)[0]), encoded, body)
