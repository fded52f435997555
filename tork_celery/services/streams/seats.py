"""The number of streams that a process serves at a time."""

import threading
from collections.abc import Callable

from tork_celery.domain.errors import TooManyStreams

DEFAULT_SEATS = 256


class StreamSeats:
    """Limits the streams of a process. Thread-safe."""

    def __init__(self, total: int = DEFAULT_SEATS) -> None:
        self.total = total
        self._lock = threading.Lock()
        self._taken = 0

    @property
    def taken(self) -> int:
        return self._taken

    def take(self) -> Callable[[], None]:
        """Take a seat, and return what frees it; call that once. Raises TooManyStreams."""
        with self._lock:
            if self._taken >= self.total:
                raise TooManyStreams(f"all {self.total} streams of this process are in use; try again later")
            self._taken += 1
        return self._free

    def _free(self) -> None:
        with self._lock:
            self._taken -= 1
