"""Probes, against servers of this machine in place of a sidecar."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any
from unittest.mock import Mock

import pytest

from tests.runtime.steps import TIMEOUT_S, StepFactory
from tork_celery.domain.definition import Probe
from tork_celery.domain.model import StepRef
from tork_celery.runtime.docker import probes
from tork_celery.runtime.docker.probes import ProbeRun

MAIN = StepRef(task_id="t", delivery=1, step=0)
LOCAL_SIDECAR = {
    "State": {"Running": True},
    "NetworkSettings": {"Networks": {"tork-t-1": {"IPAddress": "127.0.0.1"}}},
}


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Run a server for one connection at a time; yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def run_probe(port: int, *, timeout: str) -> ProbeRun:
    """Probe a port of this machine, and return the probe when it has passed."""
    api: Any = Mock(inspect=Mock(return_value=LOCAL_SIDECAR))
    probe = Probe(path="/health", port=port, timeout=timeout)
    done: SimpleQueue[ProbeRun] = SimpleQueue()
    sidecar = StepFactory("an:image").sidecar("web", "true", main=MAIN, probe=probe)
    run = ProbeRun(api, sidecar, probe, on_done=done.put)
    run.start()
    try:
        return done.get(timeout=TIMEOUT_S)
    finally:
        run.stop()


def test_request_may_take_as_long_as_the_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "_CONNECT_TIMEOUT_S", 0.1)
    requests = list[socket.socket]()

    def answer_late(connection: socket.socket) -> None:
        requests.append(connection)
        threading.Event().wait(0.5)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with server(answer_late) as port:
        probe = run_probe(port, timeout="30s")

    assert (probe.error, len(requests)) == (None, 1)


def test_failed_request_is_repeated() -> None:
    answers = [b"", b"hm\r\n", b"HTTP/1.1 404 Not Found\r\n\r\n", b"HTTP/1.1 302 Found\r\n\r\n"]

    with server(lambda connection: connection.sendall(answers.pop(0))) as port:
        probe = run_probe(port, timeout="30s")

    assert (probe.error, answers) == (None, [])
    assert probe.describe().endswith("status 302")
