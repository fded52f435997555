"""Waiting for a condition, with an end."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


_PAUSE_S = 0.02  # between two looks at processes that nobody tells of


def eventually(
    condition: Callable[[], T | None], *, within_s: float = 30.0, explain: Callable[[], str] = str
) -> T:
    """Wait until the condition is true, and return its value; fail with what it was last, and what `explain`
    says then. The one place where tests look again and again."""
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {within_s} s; it is {value!r}\n{explain()}"
        time.sleep(_PAUSE_S)
    return value
