"""The text form of Go's time.Duration: `1h30m`, `500ms`, `2.5s`."""

import re
from fractions import Fraction

_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, the micro sign
    "μs": 1_000,  # U+03BC, the Greek letter
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_LARGEST = 2**63 - 1  # Go holds a duration in an int64 of nanoseconds
_LONGEST_TEXT = 128


def nanoseconds(text: str) -> int:
    """Return the unsigned duration `text` in nanoseconds.

    Raises ValueError for what Go's time.ParseDuration refuses, and for a sign.
    """
    if text == "0":
        return 0
    total, position = Fraction(0), 0
    while text and len(text) <= _LONGEST_TEXT and (part := _PART.match(text, position)):
        total += Fraction(part[1].rstrip(".")) * _NANOSECONDS[part[2]]
        position = part.end()
    if not text or position != len(text) or total > _LARGEST:
        raise ValueError(f"{text[:40]!r} is not a duration; write it like 1h30m, 500ms or 2.5s")
    return int(total)
