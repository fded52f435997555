"""A strict JSON reader: no duplicate keys, no NaN, no lone surrogates, bounded depth."""

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from tork_celery.domain.errors import Fault, InvalidInput
from tork_celery.jobfile.source import MOST_LEVELS, TOO_DEEP, Path, Source, path_text, position
from tork_celery.jobfile.texts import shown

_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]+|\\.)*+"?|[][{}]', re.DOTALL)
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_MOST_DIGITS = 64  # longer ones become floats: Python refuses to convert very long integers, and is slow


def read(text: str) -> Source:
    """The document in `text`; raises `InvalidInput`."""
    _refuse_depth(text)
    pairs = _Pairs()
    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_constant=_refuse_constant, parse_int=_integer)
    except json.JSONDecodeError as error:
        fault = Fault("", f"not valid JSON: {_lowered(error.msg)}", error.lineno, error.colno)
        raise InvalidInput(fault) from None
    if pairs.doubled:
        _refuse_doubled(value)
    if _SURROGATE_ESCAPE.search(text):
        _refuse_surrogates(value)
    return Source(value)


class _Doubled(dict[str, Any]):
    """An object in which a key stood twice."""

    key: str


class _Pairs:
    def __init__(self) -> None:
        self.doubled = False

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        return value if len(value) == len(pairs) else self._doubled(pairs)

    def _doubled(self, pairs: list[tuple[str, Any]]) -> _Doubled:
        self.doubled = True
        value, seen = _Doubled(pairs), set[str]()
        for key, _ in pairs:
            if key in seen:
                value.key = key
                break
            seen.add(key)
        return value


def _refuse_depth(text: str) -> None:
    level = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        bracket = match[0]
        if bracket in "[{":
            level += 1
            if level > MOST_LEVELS:
                raise InvalidInput(Fault("", TOO_DEEP, *position(text, match.start())))
        elif bracket in "]}":
            level -= 1


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidInput(f"not valid JSON: {name} is not a JSON number")


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)


def _refuse_doubled(document: Any) -> None:
    for path, value in _walk(document):
        if isinstance(value, _Doubled):
            raise InvalidInput(Fault(path_text((*path, value.key)), "this key stands twice"))


def _refuse_surrogates(document: Any) -> None:
    """The text itself is UTF-8, so only an escape makes one."""
    for path, value in _walk(document):
        texts = value if isinstance(value, dict) else [value] if isinstance(value, str) else ()
        for text in texts:
            if _SURROGATE.search(text):
                message = f"half of a surrogate pair stands alone in {shown(text)}"
                raise InvalidInput(Fault(path_text(path), message))


def _walk(document: Any) -> Iterator[tuple[Path, Any]]:
    waiting: list[tuple[Path, Any]] = [((), document)]
    while waiting:
        path, value = waiting.pop()
        yield path, value
        items = (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        )
        waiting.extend(((*path, key), item) for key, item in items)


def _lowered(message: str) -> str:
    return message[:1].lower() + message[1:]
