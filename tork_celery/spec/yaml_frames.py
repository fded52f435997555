"""Lists and mappings that are being read, and the finished values that go into them."""

from abc import ABC, abstractmethod
from typing import Any

from tork_celery.spec.source import Path, Place
from tork_celery.spec.texts import described

_MERGE = "<<"


class Refused(Exception):
    """A value does not fit here. The frame has gone on as if it did, so that reading can, too."""

    def __init__(self, message: str, path: Path = ()) -> None:
        super().__init__(message)
        self.path = path


class Node:
    """A finished value. Its cost and height count all that is in it, with aliases written out."""

    __slots__ = ("cost", "height", "inner", "is_plain", "value")

    def __init__(
        self, value: Any, cost: int, inner: Any = None, height: int = 0, *, is_plain: bool = False
    ) -> None:
        self.value = value
        self.cost = cost
        self.inner = inner
        self.height = height
        self.is_plain = is_plain  # a scalar without quotes and without a tag


def place_of(mark: Any, node: Node) -> Place:
    return Place(mark.line + 1, mark.column + 1, node.inner)


class Frame(ABC):
    """A list or a mapping that is being read."""

    def __init__(self, anchor: str | None, mark: Any, cost_before: int) -> None:
        self.anchor = anchor
        self.mark = mark
        self.height = 1
        self._cost_before = cost_before
        self._value: Any
        self._inner: Any

    @property
    @abstractmethod
    def step(self) -> Path:
        """The key or index that is being read."""

    @abstractmethod
    def add(self, node: Node, mark: Any) -> None:
        """Raises `Refused`."""

    def finish(self, cost: int) -> Node:
        return Node(self._value, cost - self._cost_before, self._inner, self.height)


class ListFrame(Frame):
    def __init__(self, anchor: str | None, mark: Any, cost_before: int) -> None:
        super().__init__(anchor, mark, cost_before)
        self._value: list[Any] = []
        self._inner: list[Place] = []

    @property
    def step(self) -> Path:
        return (len(self._value),)

    def add(self, node: Node, mark: Any) -> None:
        self._value.append(node.value)
        self._inner.append(place_of(mark, node))


class MappingFrame(Frame):
    """Its nodes are by turns a key and that key's value; `<<` brings in the entries of other mappings."""

    def __init__(self, anchor: str | None, mark: Any, cost_before: int) -> None:
        super().__init__(anchor, mark, cost_before)
        self._value: dict[str, Any] = {}
        self._inner: dict[str, Place] = {}
        self._key: str | None = None
        self._key_mark: Any = None
        self._firsts: dict[str, Any] = {}
        self._is_merge = False
        self._merged: tuple[tuple[dict[str, Any], dict[str, Place]], ...] = ()

    @property
    def step(self) -> Path:
        return () if self._key is None else (self._key,)

    def add(self, node: Node, mark: Any) -> None:
        if self._key is None:
            self._take_key(node, mark)
        elif self._is_merge:
            self._key = None
            self._merge(node)
        else:
            self._value[self._key] = node.value
            self._inner[self._key] = place_of(self._key_mark, node)
            self._key = None

    def finish(self, cost: int) -> Node:
        """What is written out wins over what is merged in, and an earlier merge over a later one."""
        for value, inner in self._merged:
            for key in value.keys() - self._value.keys():
                self._value[key] = value[key]
                self._inner[key] = inner[key]
        return super().finish(cost)

    def _take_key(self, node: Node, mark: Any) -> None:
        key = node.value
        self._key, self._key_mark = ("?" if node.height else str(key)), mark
        self._is_merge = node.is_plain and key == _MERGE
        if not isinstance(key, str):
            hint = "" if node.height else "; write it in quotes"
            raise Refused(f"a key must be a string, not {described(key)}{hint}")
        first = self._firsts.setdefault(key, mark)
        if first is not mark:
            place = f"line {first.line + 1}, column {first.column + 1}"
            raise Refused(f"this key stands twice; first in {place}")

    def _merge(self, node: Node) -> None:
        values = node.value if isinstance(node.value, list) else [node.value]
        inners = [place.inner for place in node.inner] if isinstance(node.value, list) else [node.inner]
        if not all(isinstance(value, dict) for value in values):
            raise Refused("`<<` takes a mapping or a list of mappings", (_MERGE,))
        self._merged = tuple(zip(values, inners, strict=True))
