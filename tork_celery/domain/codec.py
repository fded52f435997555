"""Conversion of domain objects to JSON documents and back. Keys are camelCase; empty fields are omitted.

The datastore stores this form, the API shows it, and validated job files have it.
"""

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, cast

Document = dict[str, Any]
T = typing.TypeVar("T")


def camel(name: str) -> str:
    """Return the key of a field in a document, such as `createdAt` for `created_at`."""
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def encode(instance: Any, *, keys: frozenset[str] | None = None) -> Document:
    """Return the document of a dataclass instance, or only some `keys` of it.

    Fields with None or an empty collection are omitted. An empty list is kept in a field whose default is
    None: there it means something else than a missing one.
    """
    return {
        key: _encode_value(value)
        for name, key, optional in _keys(cast(Hashable, type(instance)), keys)
        if (value := getattr(instance, name)) is not None
        and (value or not _is_collection(value) or (optional and value == ()))
    }


def decode(cls: type[T], document: Mapping[str, Any]) -> T:
    """Return the instance of a dataclass that a document describes.

    Missing keys have the default of their field, unknown keys are ignored. The document is not validated.
    """
    readers = _readers(cast(Hashable, cls))
    return cls(**{name: read(document[key]) for name, key, read in readers if key in document})


def _is_collection(value: Any) -> bool:
    return isinstance(value, str | tuple | Mapping)


def _encode_value(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return encode(value)
    if isinstance(value, tuple):
        return [_encode_value(item) for item in value]
    if isinstance(value, Mapping):
        return dict(value)
    return value


@functools.cache
def _keys(cls: Hashable, chosen: frozenset[str] | None = None) -> tuple[tuple[str, str, bool], ...]:
    """Return the name of each field, its key, and whether its default is None."""
    keys = (
        (field.name, camel(field.name), field.default is None) for field in dataclasses.fields(cast(Any, cls))
    )
    return tuple((name, key, optional) for name, key, optional in keys if chosen is None or key in chosen)


@functools.cache
def _readers(cls: Hashable) -> tuple[tuple[str, str, Callable[[Any], Any]], ...]:
    hints = typing.get_type_hints(cast(Any, cls))
    return tuple((name, key, _reader(hints[name])) for name, key, _ in _keys(cls))


def _reader(hint: Any) -> Callable[[Any], Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _union_reader([arg for arg in arguments if arg is not type(None)])
    if origin is tuple:
        item = _reader(arguments[0])
        return lambda value: tuple(item(each) for each in value)
    if dataclasses.is_dataclass(hint):
        return functools.partial(decode, cast(Any, hint))
    return lambda value: value


def _union_reader(options: Sequence[Any]) -> Callable[[Any], Any]:
    """Return a reader of an optional value, which may be a dataclass or a plain value."""
    nested = next((option for option in options if dataclasses.is_dataclass(option)), options[0])
    inner = _reader(nested)
    if len(options) == 1:
        return lambda value: None if value is None else inner(value)
    return lambda value: inner(value) if isinstance(value, Mapping) else value
