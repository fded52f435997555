"""Powers to the last digit as the reference has them, which multiplies where a C library may round better."""

import math


def power(base: float, exponent: float) -> float:
    """A power too large is infinite, one that does not exist is not a number."""
    try:
        result = math.pow(base, exponent)
    except OverflowError:
        return -math.inf if base < 0 and math.fmod(exponent, 2) else math.inf
    except ValueError:
        return math.nan if base else _of_zero(base, exponent)
    if not result or not math.isfinite(result) or not math.isfinite(exponent):
        return result
    return _multiplied(base, exponent, result)


def _of_zero(base: float, exponent: float) -> float:
    odd = abs(math.fmod(exponent, 2)) == 1
    return math.copysign(math.inf, base) if odd else math.inf


def _multiplied(base: float, exponent: float, otherwise: float) -> float:
    if abs(exponent) == 0.5:  # noqa: PLR2004 - a square root
        return math.sqrt(base) if exponent > 0 else 1 / math.sqrt(base)
    fraction, whole = math.modf(abs(exponent))
    if fraction > 0.5:  # noqa: PLR2004 - the nearer whole number leaves the smaller error
        fraction, whole = fraction - 1, whole + 1
    product, scale = _whole_power(base, int(whole))
    if fraction:
        product *= math.exp(fraction * math.log(base))
    try:
        return math.ldexp(product, scale) if exponent > 0 else math.ldexp(1 / product, -scale)
    except (OverflowError, ZeroDivisionError):
        return otherwise


def _whole_power(base: float, exponent: int) -> tuple[float, int]:
    """By squaring, with the scale kept apart so that nothing overflows on the way."""
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
