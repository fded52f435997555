"""Numbers and strings as they are written in an expression."""

import math
import re

from tork_celery.expr import limits
from tork_celery.expr.errors import Fault

_BASES = {"0x": 16, "0o": 8, "0b": 2}
_FLOAT = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DIGITS = re.compile(r"[0-9]+")
_ESCAPE = re.compile(
    r"\\(?:([0-3][0-7]{2})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}|U([0-9a-fA-F]{8})|([\s\S]))",
)
_PLAIN = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_LONGEST_INT = 80


def number(text: str, at: int) -> int | float:
    """The value of a number literal; an integer has 64 bits."""
    digits = text.replace("_", "").lower()
    base = _BASES.get(digits[:2])
    try:
        if base:
            return _integer(digits[2:], base, at)
        if _DIGITS.fullmatch(digits):
            return _integer(digits, 10, at)
        if _FLOAT.fullmatch(digits):
            return _finite(float(digits), at)
    except ValueError:
        pass
    raise Fault("this is not a number", at)


def _integer(digits: str, base: int, at: int) -> int:
    if len(digits) > _LONGEST_INT or (value := int(digits, base)) > limits.INT_MAX:
        raise Fault("the number is too large for an integer", at)
    return value


def _finite(value: float, at: int) -> float:
    if math.isinf(value):
        raise Fault("the number is too large for a float", at)
    return value


def string(text: str, at: int) -> str:
    """The value of a string literal in single or double quotes."""
    body = text[1:-1]
    if "\\" not in body:
        return body
    value = _ESCAPE.sub(lambda match: _escape(match, text[0], at), body)
    return _joined(value, at)


def _escape(match: re.Match[str], quote: str, at: int) -> str:
    octal, byte, short, braced, long, plain = match.groups()
    if plain is not None:
        return _plain(plain, quote, at + 1 + match.start())
    code = int(octal, 8) if octal else int(byte or short or braced or long, 16)
    try:
        return chr(code)
    except (ValueError, OverflowError):
        raise Fault("there is no such character", at + 1 + match.start()) from None


def _plain(char: str, quote: str, at: int) -> str:
    if char == quote:
        return char
    if char not in _PLAIN:
        raise Fault("the string has an escape that does not exist", at)
    return _PLAIN[char]


def _joined(value: str, at: int) -> str:
    """Two escapes may make one character, as in JSON; half a pair is refused."""
    if not _SURROGATES.search(value):
        return value
    try:
        return value.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise Fault("the string has half of a surrogate pair", at) from None


def raw(text: str) -> str:
    """The value of a string in backticks, where two of them stand for one."""
    return text[1:-1].replace("``", "`")
