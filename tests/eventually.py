"""Waiting for a condition, with an end."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T], *, within_s: float = 30.0) -> T:
    """Wait until the condition is true, and return its value; fail with what it was last."""
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {within_s} s; it is {value!r}"
        time.sleep(0.05)
    return value
