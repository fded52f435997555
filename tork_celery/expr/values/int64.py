"""Integers of the language, which have 64 bits and a sign."""

import math

from tork_celery.expr.errors import LanguageError

MIN = -(2**63)
MAX = 2**63 - 1


def wrap(number: int) -> int:
    """Return the lowest 64 bits of a number as a signed integer, as Go does on overflow."""
    return (number - MIN) % 2**64 + MIN


def from_float(value: float) -> int:
    """Truncate a float. A float without a 64-bit equivalent yields MIN, as in Go on x86-64."""
    whole = math.trunc(value) if math.isfinite(value) else MIN
    return whole if MIN <= whole <= MAX else MIN


def remainder(dividend: int, divisor: int) -> int:
    """Return a remainder with the sign of the dividend, as in Go. Raises LanguageError for the divisor 0."""
    if not divisor:
        raise LanguageError("division by zero")
    rest = abs(dividend) % abs(divisor)
    return -rest if dividend < 0 else rest


def truncating_quotient(dividend: int, divisor: int) -> int:
    """Divide by a positive number and round towards zero."""
    return -(-dividend // divisor) if dividend < 0 else dividend // divisor


def to_text(number: int) -> str:
    """Write an integer in decimal. Raises LanguageError for more digits than Python allows."""
    try:
        return str(number)
    except ValueError:
        raise LanguageError("the number is too long to be written") from None
