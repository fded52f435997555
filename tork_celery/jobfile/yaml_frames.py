"""Lists and mappings that are being read, and the finished values that go into them."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from tork_celery.jobfile.source import Mark, Path
from tork_celery.jobfile.texts import described

_MERGE = "<<"


class Refused(Exception):
    """A value does not fit here. The frame has gone on as if it did, so that reading can, too."""

    def __init__(self, message: str, path: Path = ()) -> None:
        super().__init__(message)
        self.path = path


class Node(NamedTuple):
    """A finished value and the places in it. Cost and height count all of it, aliases written out."""

    value: Any
    inner: Any
    cost: int
    height: int
    is_plain: bool  # a scalar without quotes and without a tag


class Frame(ABC):
    """What values are being read into."""

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
        """The key or index that is being read."""

    @abstractmethod
    def add(self, value: Any, inner: Any, mark: Mark, *, is_plain: bool) -> None:
        """Raises `Refused`."""

    def finish(self, cost: int) -> Node:
        return Node(self.value, self.inner, cost - self.cost_before, self.height, is_plain=False)


class RootFrame(Frame):
    """The document itself."""

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
    """Its values are by turns a key and what belongs to it; `<<` brings in the entries of other mappings."""

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
            self._take_key(value, mark, is_plain=is_plain)
            return
        self._key = None
        if self._is_merge:
            self._merge(value, inner)
        else:
            self.value[key] = value
            self.inner[key] = (self._key_mark.line, self._key_mark.column, inner)

    def finish(self, cost: int) -> Node:
        """What is written out wins over what is merged in, and an earlier merge over a later one."""
        for value, inner in self._merged or ():
            for key in value.keys() - self.value.keys():
                self.value[key] = value[key]
                self.inner[key] = inner[key]
        return super().finish(cost)

    def _take_key(self, key: Any, mark: Mark, *, is_plain: bool) -> None:
        self._key_mark = mark
        self._is_merge = is_plain and key == _MERGE
        if not isinstance(key, str):
            is_scalar = not isinstance(key, list | dict)
            self._key = str(key) if is_scalar else "?"
            hint = "; write it in quotes" if is_scalar else ""
            raise Refused(f"a key must be a string, not {described(key)}{hint}")
        self._key = key
        if key in self.inner:
            line, column, _ = self.inner[key]
            raise Refused(f"this key stands twice, first in line {line + 1}, column {column + 1}")
        if self._is_merge and self._merged is not None:
            raise Refused("this key stands twice")

    def _merge(self, value: Any, inner: Any) -> None:
        values, inners = ([value], [inner]) if isinstance(value, dict) else (value, inner)
        if isinstance(value, list):
            inners = [below for _, _, below in inner]
        if not isinstance(values, list) or not all(isinstance(each, dict) for each in values):
            raise Refused("`<<` takes a mapping or a list of mappings", (_MERGE,))
        self._merged = list(zip(values, inners, strict=True))
