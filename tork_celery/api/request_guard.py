"""Protection of the API's users from other web sites: checks of Host and Origin, and security headers.

A page whose name resolves to this machine (DNS rebinding) sends its own name as `Host`. A page of another
site sends its `Origin` with every request that changes something. Programs send no `Origin`.
"""

import ipaddress
import socket
from collections.abc import Collection
from urllib.parse import urlsplit

from flask import Flask, Response, request

from tork_celery.api.context import ApiContext
from tork_celery.api.cors import ANY
from tork_celery.domain.errors import Forbidden, MisdirectedRequest

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cache-Control", "no-store"),
)
SETTING = "TORK_HOSTS"


def guard_requests(app: Flask, api: ApiContext) -> None:
    """Reject foreign hosts with 421 and foreign origins with 403; add security headers to all responses."""
    hosts = {"localhost", "host.docker.internal", *_own_names(), *(host.lower() for host in api.hosts)}

    @app.before_request
    def check() -> None:
        _check_host(request.headers.get("Host", ""), hosts)
        if request.method not in _SAFE_METHODS:
            _check_origin(request.headers.get("Origin"), api.cors_origins)

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers.extend([each for each in _HEADERS if each[0] not in response.headers])
        return response


def _check_host(header: str, hosts: Collection[str]) -> None:
    """Raise MisdirectedRequest for a foreign name. Rebinding needs a name, so addresses pass."""
    name = _host_name(header)
    if header and name not in hosts and not _is_address(name):
        raise MisdirectedRequest(
            f"the API does not answer to the host {header[:256]!r}; to allow it, add it to {SETTING}"
        )


def _check_origin(origin: str | None, allowed: Collection[str]) -> None:
    """Raise Forbidden for a request of a web page of another site that is not in `allowed`."""
    if origin is None or ANY in allowed or origin in allowed:
        return
    if urlsplit(origin).netloc.lower() != request.headers.get("Host", "").lower() or origin == "null":
        raise Forbidden(
            f"pages of the origin {origin[:256]!r} may not change anything; to allow it, add it to "
            "TORK_CORS_ORIGINS"
        )


def _host_name(header: str) -> str:
    """Return the host of `host:port` in lower case, without brackets."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.rpartition(":")[0].lower() if ":" in header else header.lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True


def _own_names() -> set[str]:
    name = socket.gethostname().lower()
    return {name, name.partition(".")[0]}
