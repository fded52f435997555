"""Servers that are stopped in the middle of their work and accept connections, but answer nothing."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from scripts.server_process import Server


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    """Run a block while no process of the server runs."""
    assert server.process is not None
    processes = [psutil.Process(server.process.pid)]
    processes += processes[0].children(recursive=True)
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)
