"""Outages of a server, and blocks that last a minimum time.

These sleep on purpose: nothing is waited for. Use `eventually` to wait for a condition.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from scripts.server_process import Server

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
