"""Domain objects as JSON documents and back: camelCase keys, empty fields left out.

The same form is stored in the datastore, read from a validated job file and shown by the API.
"""

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Hashable, Mapping
from typing import Any, cast

Document = dict[str, Any]
T = typing.TypeVar("T")


def camel(name: str) -> str:
    """`created_at` is `createdAt` in a document."""
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def encode(thing: Any) -> Document:
    """The document of a dataclass instance. Fields that hold None or an empty collection are left out."""
    return {
        key: _encode_value(value)
        for name, key in _keys(cast(Hashable, type(thing)))
        if (value := getattr(thing, name)) is not None and not (_is_collection(value) and not value)
    }


def decode(cls: type[T], document: Mapping[str, Any]) -> T:
    """The instance of the dataclass `cls` that `document` describes; what is missing has its default.

    The document is trusted: it was validated when it came in.
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
def _keys(cls: Hashable) -> tuple[tuple[str, str], ...]:
    return tuple((field.name, camel(field.name)) for field in dataclasses.fields(cast(Any, cls)))


@functools.cache
def _readers(cls: Hashable) -> tuple[tuple[str, str, Callable[[Any], Any]], ...]:
    hints = typing.get_type_hints(cast(Any, cls))
    return tuple((name, key, _reader(hints[name])) for name, key in _keys(cls))


def _reader(hint: Any) -> Callable[[Any], Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        inner = _reader(next(arg for arg in arguments if arg is not type(None)))
        return lambda value: None if value is None else inner(value)
    if origin is tuple:
        item = _reader(arguments[0])
        return lambda value: tuple(item(each) for each in value)
    if dataclasses.is_dataclass(hint):
        return functools.partial(decode, cast(Any, hint))
    return lambda value: value
