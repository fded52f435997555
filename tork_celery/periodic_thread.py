"""What goes on in the background: threads that do one thing again and again, and outlive a bug in it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from tork_celery.domain.errors import Unavailable

log = structlog.get_logger(__name__)


@contextmanager
def survive_bugs(event: str, **fields: object) -> Iterator[None]:
    """A bug within is logged as `event` and goes no further, for the thread has more to do: the leases of
    other tasks, the output of other steps. What is only away is raised: the caller knows how to wait."""
    try:
        yield
    except Unavailable:
        raise
    except Exception:
        log.exception(event, **fields)


class PeriodicThread:
    """A thread that does `action` every `interval_s`. When a part of the system is away this is logged as
    `missed`, a bug as `broken`; the next turn comes all the same."""

    def __init__(
        self, action: Callable[[], object], *, name: str, interval_s: float, missed: str, broken: str
    ) -> None:
        self._action = action
        self._interval_s = interval_s
        self._missed = missed
        self._broken = broken
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """After this turn there is none."""
        self._ended.set()

    def stop(self) -> None:
        """Returns when the last turn is over."""
        self.end()
        self._thread.join()

    def pause(self) -> bool:
        """Wait until the next turn is due; True when there is none."""
        return self._ended.wait(self._interval_s)

    def _run(self) -> None:
        while not self.pause():
            try:
                with survive_bugs(self._broken):
                    self._action()
            except Unavailable as error:
                log.warning(self._missed, reason=str(error))
