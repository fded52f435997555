"""Maps at the top of a context whose values are loaded when an expression reads them."""

from collections.abc import Iterable
from typing import Protocol

from tork_celery.expr import limits
from tork_celery.expr.errors import LanguageError
from tork_celery.expr.evaluation import Frame


class MapSource(Protocol):
    """The place from which a lazy map is loaded."""

    def get(self, key: str, /) -> str | None:
        """Return the value of a key, or None if there is no such key."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Return all keys with their values, in order."""


class LazyMap:
    """A map of strings that is not in memory.

    `name.key` and `name[key]` load a single value. Any other use of the name loads all values; it fails if
    they have more than `limits.LOADED_CHARS` characters.
    """

    __slots__ = ("_loaded", "_source")

    def __init__(self, source: MapSource) -> None:
        self._source = source
        self._loaded: dict[str, object] | None = None

    def get(self, frame: Frame, key: str) -> object:
        """Return the value of a key, or nil."""
        if self._loaded is not None:
            return self._loaded.get(key)
        value = self._source.get(key)
        frame.spend(_steps_to_load(value or ""))
        return value

    def load(self, frame: Frame) -> dict[str, object]:
        """Return the whole map."""
        if self._loaded is None:
            self._loaded = self._load(frame)
        return self._loaded

    def _load(self, frame: Frame) -> dict[str, object]:
        loaded, chars = dict[str, object](), 0
        for key, value in self._source.items():
            chars += len(value)
            if chars > limits.LOADED_CHARS:
                raise LanguageError(
                    "the map is too large to be read as a whole; read single values by their keys"
                )
            frame.spend(_steps_to_load(value))
            loaded[key] = value
        return loaded


def _steps_to_load(value: str) -> int:
    return 1 + (len(value) >> 8)


def loaded(frame: Frame, value: object) -> object:
    """Return a lazy map as a whole, and any other value unchanged."""
    return value.load(frame) if isinstance(value, LazyMap) else value
