"""Threads that repeat an action and survive outages and bugs in it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import structlog

from tork_celery.domain.errors import Unavailable

log = structlog.get_logger(__name__)


@contextmanager
def survive_bugs(event: str, **fields: object) -> Iterator[None]:
    """Log an unexpected exception as `event`, with its traceback, and suppress it.

    For threads that serve many tasks: a bug that concerns one must not stop the others. Unavailable is not
    suppressed, because the caller knows how to wait for the part that is away.
    """
    try:
        yield
    except Unavailable:
        raise
    except Exception:
        log.exception(event, **fields)


class PeriodicThread:
    """A daemon thread that waits `interval_s` and then runs `action`, until it is stopped.

    Neither an outage nor a bug ends the thread. A bug is logged as `bug_event`. The part that is away logs
    its outage, once for all threads.
    """

    def __init__(self, action: Callable[[], object], *, name: str, interval_s: float, bug_event: str) -> None:
        self._action = action
        self._interval_s = interval_s
        self._bug_event = bug_event
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def request_stop(self) -> None:
        """Start no run after the current one. Returns at once, so the action itself may call this."""
        self._stopping.set()

    def stop(self) -> None:
        """Request the stop and wait for the end of the current run."""
        self.request_stop()
        self._thread.join()

    @property
    def stopping(self) -> bool:
        """Whether the stop was requested."""
        return self._stopping.is_set()

    def wait(self) -> bool:
        """Wait for one interval. Return True, at once, if the thread is to stop."""
        return self._stopping.wait(self._interval_s)

    def _run(self) -> None:
        while not self.wait():
            with suppress(Unavailable), survive_bugs(self._bug_event):
                self._action()
