"""The clock of a server, without a round trip for each look at it."""

import time
from collections.abc import Callable

MAX_AGE_S = 1.0


class ServerClock:
    """Asks the server for its time once a second at most, and adds what has passed since. Thread-safe.

    It is late by the time that the answer took. `read` asks the server.
    """

    def __init__(self, read: Callable[[], float], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._answer: tuple[float, float] | None = None

    def now(self) -> float:
        """Return the server's time, in seconds since the epoch. Raises the errors of `read`."""
        answer = self._answer
        if answer is None or self._clock() - answer[0] > MAX_AGE_S:
            server_s = self._read()
            answer = self._answer = (self._clock(), server_s)
        here_s, server_s = answer
        return server_s + (self._clock() - here_s)
