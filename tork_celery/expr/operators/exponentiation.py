"""Exponentiation with the rounding of Go's math.Pow.

The last digit may differ from that of the C library, which Python's math.pow calls.
"""

import math


def power(base: float, exponent: float) -> float:
    """Raise a number to a power. The result is infinite on overflow and NaN if it does not exist."""
    try:
        result = math.pow(base, exponent)
    except OverflowError:
        return -math.inf if base < 0 and math.fmod(exponent, 2) else math.inf
    except ValueError:
        return math.nan if base else _infinite_power_of_zero(base, exponent)
    if not result or not math.isfinite(result) or not math.isfinite(exponent):
        return result
    return _multiply(base, exponent, default=result)


def _infinite_power_of_zero(base: float, exponent: float) -> float:
    is_odd = abs(math.fmod(exponent, 2)) == 1
    return math.copysign(math.inf, base) if is_odd else math.inf


def _multiply(base: float, exponent: float, *, default: float) -> float:
    if abs(exponent) == 0.5:  # noqa: PLR2004 - a square root
        return math.sqrt(base) if exponent > 0 else 1 / math.sqrt(base)
    fraction, whole = math.modf(abs(exponent))
    if fraction > 0.5:  # noqa: PLR2004 - the nearer integer leaves the smaller error
        fraction, whole = fraction - 1, whole + 1
    product, scale = _integer_power(base, int(whole))
    if fraction:
        product *= math.exp(fraction * math.log(base))
    try:
        return math.ldexp(product, scale) if exponent > 0 else math.ldexp(1 / product, -scale)
    except (OverflowError, ZeroDivisionError):
        return default


def _integer_power(base: float, exponent: int) -> tuple[float, int]:
    """Return the power as a product and a binary exponent, which are separate to avoid overflow."""
    product, scale = 1.0, 0
    square, square_scale = math.frexp(base)
    while exponent:
        if exponent & 1:
            product *= square
            scale += square_scale
        square, step = math.frexp(square * square)
        square_scale = 2 * square_scale + step
        exponent >>= 1
    return product, scale
