"""Columns that hold what a client wrote: JSON in the datastore, a definition in every row that is read."""

import functools
import json
import typing
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from sqlalchemy import JSON, Dialect, Text, TypeDecorator, cast, type_coerce
from sqlalchemy.sql.elements import ColumnElement

from tork_celery.domain.codec import Document, decode, encode

T = TypeVar("T")

_LARGE = 20_000  # characters: some fifty tasks
_REMEMBERED = 4


class DefinitionType(TypeDecorator[T], Generic[T]):
    """The instances of a dataclass of `domain.definition`."""

    impl = JSON
    cache_ok = True

    def __init__(self, cls: type[T]) -> None:
        super().__init__()
        self.cls = cls

    def process_bind_param(self, value: T | None, _dialect: Dialect) -> Document | None:
        return None if value is None else encode(value)

    def column_expression(self, column: ColumnElement[T]) -> ColumnElement[Any]:
        """As it is written: a driver would make a document of it."""
        return type_coerce(cast(column, Text), self)

    def result_processor(self, _dialect: Dialect, _coltype: object) -> Callable[[str | None], T | None]:
        return lambda written: None if written is None else _read(self.cls, written)


def _read(cls: type[T], written: str) -> T:
    if len(written) < _LARGE:
        return decode(cls, json.loads(written))
    found: T = _remembered(written, typing.cast(Hashable, cls))
    return found


@functools.lru_cache(maxsize=_REMEMBERED)
def _remembered(written: str, cls: Any) -> Any:
    """A job of 10,000 tasks takes a tenth of a second to read, and is read at the end of each of them."""
    return decode(cls, json.loads(written))
