"""Exponential back-off, and limits of retries."""

import sys
from collections.abc import Hashable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Delays between attempts.

    The first is `first_s` long, each next one `factor` times as long, up to `longest_s`.
    """

    first_s: float
    longest_s: float
    factor: float = 2.0

    def delay_s(self, retry: int) -> float:
        """Return the seconds to wait before the retry number `retry`, counted from 0."""
        try:
            growth = self.factor**retry
        except OverflowError:
            growth = sys.float_info.max
        return min(self.first_s * growth, self.longest_s)

    def delays_s(self) -> Iterator[float]:
        """Yield the delays before all retries, without end."""
        delay_s = min(self.first_s, self.longest_s)
        while True:
            yield delay_s
            delay_s = min(delay_s * self.factor, self.longest_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryLimit:
    """Limit of a call that fails with an error that may pass: `tries` in all, within `within_s` seconds."""

    tries: int
    within_s: float
    backoff: Backoff

    def delay_s(self, failures: int, *, elapsed_s: float) -> float | None:
        """Return the seconds to wait before the next try, or None when no try is left.

        `failures` counts the tries that have failed, the first of them `elapsed_s` seconds ago.
        """
        delay_s = self.backoff.delay_s(failures - 1)
        if failures >= self.tries or elapsed_s + delay_s > self.within_s:
            return None
        return delay_s


class Retries:
    """The failures of one task or image, by call. Each call has tries of its own."""

    def __init__(self) -> None:
        self._failures: dict[Hashable, _Failures] = {}

    def delay_s(self, call: Hashable, limit: RetryLimit, *, now_s: float) -> float | None:
        """Count a failure of `call` at `now_s`. Return the seconds until its next try, None without one."""
        failures = self._failures.setdefault(call, _Failures(first_at_s=now_s))
        failures.count += 1
        return limit.delay_s(failures.count, elapsed_s=now_s - failures.first_at_s)


@dataclass(slots=True, kw_only=True)
class _Failures:
    first_at_s: float
    count: int = 0


PASSING = RetryLimit(tries=3, within_s=10.0, backoff=Backoff(first_s=2.0, longest_s=5.0, factor=2.5))
"""Limit of an error that is known to pass, such as a full pool of addresses."""

UNKNOWN = RetryLimit(tries=2, within_s=10.0, backoff=Backoff(first_s=1.0, longest_s=1.0))
"""Limit of an error of which nothing is known."""
