"""A strict JSON reader: no duplicate keys, no NaN, no unpaired surrogates, limited depth."""

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from tork_celery.domain.errors import Fault, InvalidInput
from tork_celery.jobfile.source import (
    MAX_LEVELS,
    TOO_DEEP,
    Path,
    Scalar,
    Source,
    line_and_column,
    path_text,
    quote,
)

_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]+|\\.)*+"?|[][{}]', re.DOTALL)
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_DIGITS = 64  # longer integers become floats: Python refuses to convert very long ones, and is slow


def read(text: str) -> Source:
    """Return the document in `text`. Raises `InvalidInput`."""
    _refuse_depth(text)
    pairs = _Pairs()
    try:
        value = json.loads(
            text,
            object_pairs_hook=pairs,
            parse_constant=_refuse_constant,
            parse_int=_integer,
            parse_float=_float,
        )
    except json.JSONDecodeError as error:
        message = error.msg[:1].lower() + error.msg[1:]
        raise InvalidInput(Fault("", f"not valid JSON: {message}", error.lineno, error.colno)) from None
    if pairs.has_duplicates:
        _refuse_duplicates(value)
    if _SURROGATE_ESCAPE.search(text):
        _refuse_surrogates(value)
    return Source(value)


class _WithDuplicate(dict[str, Any]):
    """An object in which `duplicate` is a key that appears twice."""

    duplicate: str


class _Pairs:
    """Hook that turns the pairs of an object into a dict, and remembers duplicate keys."""

    def __init__(self) -> None:
        self.has_duplicates = False

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        return value if len(value) == len(pairs) else self._with_duplicate(pairs)

    def _with_duplicate(self, pairs: list[tuple[str, Any]]) -> _WithDuplicate:
        self.has_duplicates = True
        value, seen = _WithDuplicate(pairs), set[str]()
        for key, _ in pairs:
            if key in seen:
                value.duplicate = key
                break
            seen.add(key)
        return value


def _refuse_depth(text: str) -> None:
    """Raise InvalidInput for too many levels, before Python's reader recurses into them."""
    level = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        bracket = match[0]
        if bracket in "[{":
            level += 1
            if level > MAX_LEVELS:
                raise InvalidInput(Fault("", TOO_DEEP, *line_and_column(text, match.start())))
        elif bracket in "]}":
            level -= 1


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidInput(f"not valid JSON: {name} is not a JSON number")


def _integer(digits: str) -> Scalar:
    return Scalar(int(digits) if len(digits) <= _MAX_DIGITS else float(digits), digits)


def _float(text: str) -> Scalar:
    return Scalar(float(text), text)


def _refuse_duplicates(document: Any) -> None:
    for path, value in _walk(document):
        if isinstance(value, _WithDuplicate):
            raise InvalidInput(Fault(path_text((*path, value.duplicate)), "duplicate key"))


def _refuse_surrogates(document: Any) -> None:
    """Raise InvalidInput for an unpaired surrogate, which only an escape sequence can produce."""
    for path, value in _walk(document):
        texts = value if isinstance(value, dict) else [value] if isinstance(value, str) else ()
        for text in texts:
            if _SURROGATE.search(text):
                raise InvalidInput(Fault(path_text(path), f"unpaired surrogate in {quote(text)}"))


def _walk(document: Any) -> Iterator[tuple[Path, Any]]:
    waiting: list[tuple[Path, Any]] = [((), document)]
    while waiting:
        path, value = waiting.pop()
        yield path, value
        if isinstance(value, dict):
            waiting.extend(((*path, key), item) for key, item in value.items())
        elif isinstance(value, list):
            waiting.extend(((*path, index), item) for index, item in enumerate(value))
