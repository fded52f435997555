"""What takes a given time in a test by intent: an outage, the pace of the killing. Nothing is waited for."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from scripts.server_process import Server

OUTAGE_S = float(os.environ.get("CHAOS_OUTAGE_S", "10"))


@contextmanager
def lasting(seconds: float = OUTAGE_S) -> Iterator[None]:
    """Takes so long, with what is done in it."""
    end = time.monotonic() + seconds
    yield
    time.sleep(max(0.0, end - time.monotonic()))


@contextmanager
def away(server: Server) -> Iterator[None]:
    """The server is stopped, for OUTAGE_S at least."""
    server.stop()
    try:
        with lasting():
            yield
    finally:
        server.start()
