"""How programs encode a value, as an independent check of the masked forms."""

import base64
import json
import re
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus

from tests.expr.hosts import HOST
from tork_celery import expr

ENCODINGS: dict[str, Callable[[str], str]] = {
    "as it is": lambda value: value,
    "without white space around it": lambda value: value.strip(),
    "JSON, ASCII": lambda value: json.dumps(value)[1:-1],
    "JSON": lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
    "our toJSON": lambda value: to_json(value)[1:-1],
    "URL": lambda value: quote(value, safe=""),
    "URL path": quote,
    "URL form": quote_plus,
    "encodeURIComponent": lambda value: quote(value, safe="!'()*"),
    "URL, lower case": lambda value: re.sub("%..", lambda match: match[0].lower(), quote(value)),
}
"""Functions that return a value as programs print it, by name."""


def to_json(value: str) -> str:
    return expr.render("{{ toJSON(value) }}", {"value": value}, HOST)


def base64_cores(value: str) -> Iterator[str]:
    """Yield the characters of base64 that stay the same, whatever comes before and after the value.

    They are found by comparison: two neighbours that differ in every bit.
    """
    data = value.encode()
    for offset in range(3):
        texts = [base64.b64encode(bit * offset + data + bit * 3).decode() for bit in (b"\0", b"\xff")]
        start, end = _common_part(*texts)
        yield texts[0][start:end]


def _common_part(one: str, other: str) -> tuple[int, int]:
    """Return the bounds of the characters between the first and the last ones that differ.

    What differs is at the beginning and at the end only.
    """
    half = len(one) // 2
    before = [index for index in range(half) if one[index] != other[index]]
    after = [index for index in range(half, len(one)) if one[index] != other[index]]
    return max(before, default=-1) + 1, min(after, default=len(one))
