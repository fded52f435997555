"""Waiting for a condition, with a timeout."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


_PAUSE_S = 0.02  # between two checks of the condition


def eventually(
    condition: Callable[[], T | None], *, within_s: float = 30.0, explain: Callable[[], str] = str
) -> T:
    """Wait until the condition is truthy, and return its value. The only place where tests poll.

    Fails after `within_s` seconds, with the last value and the text that `explain` returns.
    """
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < deadline, (
            f"not within {within_s} s; the last value is {value!r}\n{explain()}"
        )
        time.sleep(_PAUSE_S)
    return value
