"""The collections that are being read, and the finished nodes that go into them."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from tork_celery.jobfile.source import Mark, Path, Scalar, describe

_MERGE = "<<"


class Refused(Exception):
    """A value is not allowed here. The frame has skipped it, so that reading can continue."""

    def __init__(self, message: str, path: Path = ()) -> None:
        super().__init__(message)
        self.path = path


class Node(NamedTuple):
    """A finished value and the positions inside it. Cost and height include expanded aliases."""

    value: Any
    inner: Any
    cost: int
    height: int
    is_plain: bool  # a scalar without quotes and without a tag


class Frame(ABC):
    """A collection, or the document, that values are being read into."""

    __slots__ = ("anchor", "cost_before", "height", "inner", "mark", "value")

    value: Any
    inner: Any

    def __init__(self, anchor: str | None, mark: Mark, cost_before: int) -> None:
        self.anchor = anchor
        self.mark = mark
        self.cost_before = cost_before
        self.height = 1

    @property
    @abstractmethod
    def step(self) -> Path:
        """The key or index that is being read, as a path of one or no part."""

    @abstractmethod
    def add(self, value: Any, inner: Any, mark: Mark, *, is_plain: bool) -> None:
        """Add a value, and the positions inside it. Raises `Refused`."""

    def finish(self, cost: int) -> Node:
        """Return the node of this frame. `cost` is the cost of the document so far."""
        return Node(self.value, self.inner, cost - self.cost_before, self.height, is_plain=False)


class RootFrame(Frame):
    """The document."""

    __slots__ = ()

    def __init__(self) -> None:
        self.value = self.inner = None
        self.height = 0

    @property
    def step(self) -> Path:
        return ()

    def add(self, value: Any, inner: Any, mark: Mark, *, is_plain: bool) -> None:
        del is_plain
        self.value, self.inner, self.mark = value, inner, mark


class ListFrame(Frame):
    __slots__ = ()

    def __init__(self, anchor: str | None, mark: Mark, cost_before: int) -> None:
        super().__init__(anchor, mark, cost_before)
        self.value = []
        self.inner = []

    @property
    def step(self) -> Path:
        return (len(self.value),)

    def add(self, value: Any, inner: Any, mark: Mark, *, is_plain: bool) -> None:
        del is_plain
        self.value.append(value)
        self.inner.append((mark.line, mark.column, inner))


class MappingFrame(Frame):
    """A mapping, whose keys and values are added alternately. `<<` merges the entries of other mappings."""

    __slots__ = ("_is_merge", "_key", "_key_mark", "_merged")

    def __init__(self, anchor: str | None, mark: Mark, cost_before: int) -> None:
        super().__init__(anchor, mark, cost_before)
        self.value = {}
        self.inner = {}
        self._key: str | None = None
        self._key_mark = mark
        self._is_merge = False
        self._merged: list[tuple[dict[str, Any], Any]] | None = None

    @property
    def step(self) -> Path:
        return () if self._key is None else (self._key,)

    def add(self, value: Any, inner: Any, mark: Mark, *, is_plain: bool) -> None:
        key = self._key
        if key is None:
            self._add_key(value, mark, is_plain=is_plain)
            return
        self._key = None
        if self._is_merge:
            self._merge(value, inner)
        else:
            self.value[key] = value
            self.inner[key] = (self._key_mark.line, self._key_mark.column, inner)

    def finish(self, cost: int) -> Node:
        """Merge. The mapping's own entries win over merged ones, and earlier merges over later ones."""
        for value, inner in self._merged or ():
            for key in value.keys() - self.value.keys():
                self.value[key] = value[key]
                self.inner[key] = inner[key]
        return super().finish(cost)

    def _add_key(self, key: Any, mark: Mark, *, is_plain: bool) -> None:
        self._key_mark = mark
        self._is_merge = is_plain and key == _MERGE
        if isinstance(key, Scalar):
            key = key.text
        if not isinstance(key, str):
            self._key = "null" if key is None else "?"
            hint = "; write it in quotes" if key is None else ""
            raise Refused(f"a key must be a string, not {describe(key)}{hint}")
        self._key = key
        if key in self.inner:
            line, column, _ = self.inner[key]
            raise Refused(f"duplicate key, first in line {line + 1}, column {column + 1}")
        if self._is_merge and self._merged is not None:
            raise Refused("duplicate key")

    def _merge(self, value: Any, inner: Any) -> None:
        values, inners = ([value], [inner]) if isinstance(value, dict) else (value, inner)
        if isinstance(value, list):
            inners = [below for _, _, below in inner]
        if not isinstance(values, list) or not all(isinstance(each, dict) for each in values):
            raise Refused("`<<` takes a mapping or a list of mappings", (_MERGE,))
        self._merged = list(zip(values, inners, strict=True))
