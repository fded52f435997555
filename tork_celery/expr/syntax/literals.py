"""Number and string literals."""

import math
import re

from tork_celery.expr.errors import LanguageError
from tork_celery.expr.values import int64

_BASES = {"0x": 16, "0o": 8, "0b": 2}
_FLOAT = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DIGITS = re.compile(r"[0-9]+")
_ESCAPE = re.compile(
    r"\\(?:([0-3][0-7]{2})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}|U([0-9a-fA-F]{8})|([\s\S]))",
)
_SIMPLE_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
}
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_LONGEST_INTEGER = 80


def parse_number(text: str, offset: int) -> int | float:
    """Return the value of a number literal. Raises LanguageError if it is malformed or out of range."""
    digits = text.replace("_", "").lower()
    base = _BASES.get(digits[:2])
    try:
        if base:
            return _parse_integer(digits[2:], base, offset)
        if _DIGITS.fullmatch(digits):
            return _parse_integer(digits, 10, offset)
        if _FLOAT.fullmatch(digits):
            return _require_finite(float(digits), offset)
    except ValueError:
        pass
    raise LanguageError("this is not a number", offset)


def _parse_integer(digits: str, base: int, offset: int) -> int:
    if len(digits) > _LONGEST_INTEGER or (value := int(digits, base)) > int64.MAX:
        raise LanguageError("the number is too large for an integer", offset)
    return value


def _require_finite(value: float, offset: int) -> float:
    if math.isinf(value):
        raise LanguageError("the number is too large for a float", offset)
    return value


def parse_string(text: str, offset: int) -> str:
    """Return the value of a string in single or double quotes. Raises LanguageError for an invalid escape."""
    body = text[1:-1]
    if "\\" not in body:
        return body
    value = _ESCAPE.sub(lambda match: _unescape(match, text[0], offset), body)
    return _combine_surrogates(value, offset)


def _unescape(match: re.Match[str], quote: str, offset: int) -> str:
    octal, byte, short, braced, long, simple = match.groups()
    if simple is not None:
        return _unescape_simple(simple, quote, offset + 1 + match.start())
    code = int(octal, 8) if octal else int(byte or short or braced or long, 16)
    try:
        return chr(code)
    except (ValueError, OverflowError):
        raise LanguageError("the escape sequence is not a character", offset + 1 + match.start()) from None


def _unescape_simple(char: str, quote: str, offset: int) -> str:
    if char == quote:
        return char
    if char not in _SIMPLE_ESCAPES:
        raise LanguageError("unknown escape sequence in the string", offset)
    return _SIMPLE_ESCAPES[char]


def _combine_surrogates(value: str, offset: int) -> str:
    r"""Combine pairs such as `\ud83d\ude00`, as JSON does. Raises LanguageError for an unpaired surrogate."""
    if not _SURROGATES.search(value):
        return value
    try:
        return value.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise LanguageError("the string has an unpaired surrogate", offset) from None


def parse_raw_string(text: str) -> str:
    """Return the value of a string in backticks, in which two backticks stand for one."""
    return text[1:-1].replace("``", "`")
