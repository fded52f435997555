"""Outages of a server, and blocks that last a minimum time.

These sleep on purpose: nothing is waited for. Use `eventually` to wait for a condition.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from scripts.server_process import Server
from tests.eventually import eventually
from tests.system.installation import Installation

OUTAGE_S = float(os.environ.get("CHAOS_OUTAGE_S", "10"))


@contextmanager
def at_least(seconds: float = OUTAGE_S) -> Iterator[None]:
    """Run a block and sleep until at least `seconds` have passed since its start."""
    end = time.monotonic() + seconds
    yield
    time.sleep(max(0.0, end - time.monotonic()))


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    """Run a block while the server is stopped, which lasts at least OUTAGE_S."""
    server.stop()
    try:
        with at_least():
            yield
    finally:
        server.start()


@contextmanager
def broker_down(installation: Installation) -> Iterator[None]:
    """Kill the broker and freeze the supervisor, which would restart it."""
    assert installation.process is not None
    freeze(installation.process)
    try:
        child(installation, "valkey-server").kill()
        yield
    finally:
        installation.process.send_signal(signal.SIGCONT)


def freeze(process: subprocess.Popen[bytes]) -> None:
    """Stop a process until it gets SIGCONT."""
    process.send_signal(signal.SIGSTOP)
    eventually(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)


def child(installation: Installation, program: str) -> psutil.Process:
    """Return the process of an installation that runs a program."""
    assert installation.process is not None
    children = psutil.Process(installation.process.pid).children()
    return next(child for child in children if any(program in part for part in child.cmdline()))
