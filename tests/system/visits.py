"""Counts how often each task really ran: every run visits a web server of the test's own."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import docker


class Visits:
    """A task's script ends with `script(name)` or has it in its middle; `count[name]` is how often it got
    there."""

    def __init__(self, address: str, count: "Counter[str]") -> None:
        self._address = address
        self.count = count

    def script(self, name: str) -> str:
        return f"wget -q -O /dev/null http://{self._address}/{name}"


@contextmanager
def visits(engine: docker.DockerClient) -> Iterator[Visits]:
    """A server that containers on the bridge network reach."""
    count: Counter[str] = Counter()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with lock:
                count[self.path.removeprefix("/")] += 1
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    gateway = engine.networks.get("bridge").attrs["IPAM"]["Config"][0].get("Gateway", "172.17.0.1")
    with ThreadingHTTPServer((gateway, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Visits(f"{gateway}:{server.server_port}", count)
        finally:
            server.shutdown()
            thread.join()
