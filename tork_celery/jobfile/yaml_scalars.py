"""The values of YAML scalars by the core schema of YAML 1.2, in which `yes` and `1:30` are strings."""

import re
from typing import Any

NO_TAGS = "a tag is not allowed here; remove it"
CORE = "tag:yaml.org,2002:"
_SPECIAL = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((f"{sign}.{inf}" for sign in ("", "+") for inf in ("inf", "Inf", "INF")), float("inf")),
    **dict.fromkeys((f"-.{inf}" for inf in ("inf", "Inf", "INF")), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_NUMBER_STARTS = frozenset("0123456789+-.")
_MAX_DIGITS = 64  # longer integers become floats: Python refuses to convert very long ones, and is slow
_BASES = {"0o": 8, "0x": 16}
_TYPES = {"null": type(None), "bool": bool, "int": int, "float": float}


def plain(text: str) -> Any:
    """Return the value of a scalar without quotes and without a tag."""
    if text in _SPECIAL:
        return _SPECIAL[text]
    return _number(text) if text[0] in _NUMBER_STARTS else text


def tagged(text: str, tag: str) -> Any:
    """Return the value of a scalar with a tag. Raises ValueError for tags outside YAML's core schema."""
    if tag in (CORE + "str", "!"):
        return text
    expected = _TYPES.get(tag.removeprefix(CORE)) if tag.startswith(CORE) else None
    if expected is None:
        raise ValueError(NO_TAGS)
    value = plain(text)
    if expected is float and type(value) is int:
        value = float(value)
    if type(value) is not expected:
        raise ValueError("the value does not match its tag")
    return value


def _number(text: str) -> Any:
    if _INTEGER.fullmatch(text):
        if len(text) > _MAX_DIGITS:
            return float(text) if text[:2] not in _BASES else float("inf")
        return int(text.removeprefix("0o").removeprefix("0x"), _BASES.get(text[:2], 10))
    return float(text) if _FLOAT.fullmatch(text) else text
