"""The floor of the API: an application that does nothing, on the same server.

`python -m bench.noop_server PORT` runs it. Its response has the size of a job's summary.
"""

import sys
from collections.abc import Callable, Iterable
from typing import Any

from tork_celery.api.front import Front, serve

_BODY = b'{"noop":"' + b"." * 240 + b'"}'
_HEADERS = [("Content-Type", "application/json"), ("Content-Length", str(len(_BODY)))]
_THREADS = 8


def noop(environment: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    environment["wsgi.input"].read()
    start_response("200 OK", _HEADERS)
    return [_BODY]


def build() -> Front:
    return Front(noop, threads=_THREADS, body_limit_bytes=1 << 22, ended_jobs=lambda _: set())


if __name__ == "__main__":
    serve(build, host="127.0.0.1", port=int(sys.argv[1]), processes=1)
