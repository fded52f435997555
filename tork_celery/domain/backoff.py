"""Exponential back-off."""

import sys
from collections.abc import Iterator
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
