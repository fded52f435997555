"""Column types: definitions as dataclasses of `domain.definition`, and values that are encrypted at rest.

Encryption is transparent: values are encrypted if the engine has a cipher, and rows that were stored in clear
are read all the same. An encrypted JSON value is a JSON string, where in clear it is an object or a list.
"""

import functools
import json
import typing
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from sqlalchemy import JSON, Dialect, Text, TypeDecorator, cast, type_coerce
from sqlalchemy.sql.elements import ColumnElement

from tork_celery.domain.codec import Document, decode, encode
from tork_celery.store.encryption import Cipher, cipher_of, decrypt, is_encrypted

T = TypeVar("T")

_CACHED_FROM_LENGTH = 20_000  # characters: about fifty tasks
_CACHE_SIZE = 4


class EncryptedType(TypeDecorator[T], Generic[T]):
    """A type whose values are encrypted at rest, wholly or in part."""

    cache_ok = True

    def reencrypted(self, stored: Any, cipher: Cipher, dialect: Dialect) -> Any:
        """Return a stored value, as the plain `impl` reads it, encrypted with the newest key."""
        return _reencrypted(stored, cipher, dialect)


class SecretJson(EncryptedType[Any]):
    """An object or list that is encrypted as a whole; an empty one is not."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return _encrypted(value, dialect)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return _decrypted(value, dialect)


class SecretUrl(EncryptedType[str]):
    """A URL, which may hold a token."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        cipher = cipher_of(dialect)
        return value if value is None or cipher is None else cipher.encrypt(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return decrypt(dialect, value) if value is not None and is_encrypted(value) else value

    def reencrypted(self, stored: str, cipher: Cipher, dialect: Dialect) -> str:
        if is_encrypted(stored):
            return stored if cipher.is_current(stored) else cipher.encrypt(decrypt(dialect, stored))
        return cipher.encrypt(stored)


class SummaryType(EncryptedType[Document]):
    """The summary of a job. Its inputs and hidden values are encrypted; triggers read the rest."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Document | None, dialect: Dialect) -> Document | None:
        return None if value is None else _with_secret_keys(value, lambda inner: _encrypted(inner, dialect))

    def process_result_value(self, value: Document | None, dialect: Dialect) -> Document | None:
        return None if value is None else _with_secret_keys(value, lambda inner: _decrypted(inner, dialect))

    def reencrypted(self, stored: Document, cipher: Cipher, dialect: Dialect) -> Document:
        return _with_secret_keys(stored, lambda inner: _reencrypted(inner, cipher, dialect))


class DefinitionType(EncryptedType[T], Generic[T]):
    """Instances of a dataclass of `domain.definition`, encrypted as a whole: rendered secrets may be anywhere
    in the definition of a started task."""

    impl = JSON
    cache_ok = True

    def __init__(self, cls: type[T]) -> None:
        super().__init__()
        self.cls = cls

    def process_bind_param(self, value: T | None, dialect: Dialect) -> Any:
        return None if value is None else _encrypted(encode(value), dialect)

    def column_expression(self, column: ColumnElement[T]) -> ColumnElement[Any]:
        """Select the column as text; otherwise the driver would parse the JSON."""
        return type_coerce(cast(column, Text), self)

    def result_processor(self, dialect: Dialect, _coltype: object) -> Callable[[str | None], T | None]:
        return lambda document: None if document is None else _decode(self.cls, document, dialect)


def _decode(cls: type[T], document: str, dialect: Dialect) -> T:
    if len(document) < _CACHED_FROM_LENGTH:
        return decode(cls, _parsed(document, dialect))
    decoded: T = _decode_cached(document, typing.cast(Hashable, cls), typing.cast(Hashable, dialect))
    return decoded


@functools.lru_cache(maxsize=_CACHE_SIZE)
def _decode_cached(document: str, cls: Any, dialect: Any) -> Any:
    """Decode a large definition once. A job of 10,000 tasks takes 0.1 s to decode, and each task that ends
    reads it."""
    return decode(cls, _parsed(document, dialect))


def _parsed(document: str, dialect: Dialect) -> Document:
    parsed: Document = _decrypted(json.loads(document), dialect)
    return parsed


def _with_secret_keys(summary: Document, change: Callable[[Any], Any]) -> Document:
    return {key: change(value) if key in ("inputs", "hidden") else value for key, value in summary.items()}


def _encrypted(value: Any, dialect: Dialect) -> Any:
    """Return a JSON value as an encrypted string; an empty one, or one without a key, as it is."""
    cipher = cipher_of(dialect)
    return value if cipher is None or not value else _encrypt(value, cipher)


def _encrypt(value: Any, cipher: Cipher) -> str:
    return cipher.encrypt(json.dumps(value, separators=(",", ":")))


def _decrypted(value: Any, dialect: Dialect) -> Any:
    return json.loads(decrypt(dialect, value)) if isinstance(value, str) else value


def _reencrypted(value: Any, cipher: Cipher, dialect: Dialect) -> Any:
    if not value or (isinstance(value, str) and cipher.is_current(value)):
        return value
    return _encrypt(_decrypted(value, dialect), cipher)
