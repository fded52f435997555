"""Column type for definitions: JSON in the datastore, a dataclass of `domain.definition` in Python."""

import functools
import json
import typing
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from sqlalchemy import JSON, Dialect, Text, TypeDecorator, cast, type_coerce
from sqlalchemy.sql.elements import ColumnElement

from tork_celery.domain.codec import Document, decode, encode

T = TypeVar("T")

_CACHED_FROM_LENGTH = 20_000  # characters: about fifty tasks
_CACHE_SIZE = 4


class DefinitionType(TypeDecorator[T], Generic[T]):
    """Instances of a dataclass of `domain.definition`."""

    impl = JSON
    cache_ok = True

    def __init__(self, cls: type[T]) -> None:
        super().__init__()
        self.cls = cls

    def process_bind_param(self, value: T | None, _dialect: Dialect) -> Document | None:
        return None if value is None else encode(value)

    def column_expression(self, column: ColumnElement[T]) -> ColumnElement[Any]:
        """Select the column as text; otherwise the driver would parse the JSON."""
        return type_coerce(cast(column, Text), self)

    def result_processor(self, _dialect: Dialect, _coltype: object) -> Callable[[str | None], T | None]:
        return lambda document: None if document is None else _decode(self.cls, document)


def _decode(cls: type[T], document: str) -> T:
    if len(document) < _CACHED_FROM_LENGTH:
        return decode(cls, json.loads(document))
    decoded: T = _decode_cached(document, typing.cast(Hashable, cls))
    return decoded


@functools.lru_cache(maxsize=_CACHE_SIZE)
def _decode_cached(document: str, cls: Any) -> Any:
    """Decode a large definition once. A job of 10,000 tasks takes 0.1 s to decode, and each task that ends
    reads it."""
    return decode(cls, json.loads(document))
