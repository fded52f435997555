"""Counts how often a script ran: each run sends a request to a web server of the test."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import docker


class RunCounter:
    """`script(name)` is a shell command that counts one run; `counts[name]` is the number of runs so far."""

    def __init__(self, address: str, counts: "Counter[str]") -> None:
        self._address = address
        self.counts = counts

    def script(self, name: str) -> str:
        return f"wget -q -O /dev/null http://{self._address}/{name}"


@contextmanager
def counting_runs(engine: docker.DockerClient) -> Iterator[RunCounter]:
    """Run the server while the context lasts. Containers on the engine's bridge network reach it."""
    counts: Counter[str] = Counter()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with lock:
                counts[self.path.removeprefix("/")] += 1
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
            yield RunCounter(f"{gateway}:{server.server_port}", counts)
        finally:
            server.shutdown()
            thread.join()
