"""Build plain values from YAML events, with limits on depth and on the size with aliases expanded."""

from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

import yaml

from tork_celery.domain.errors import MOST_FAULTS, Fault, InvalidInput
from tork_celery.jobfile.source import (
    MAX_LEVELS,
    TOO_DEEP,
    Mark,
    Path,
    Position,
    Scalar,
    Source,
    path_text,
    quote,
)
from tork_celery.jobfile.yaml_frames import Frame, ListFrame, MappingFrame, Node, Refused, RootFrame
from tork_celery.jobfile.yaml_scalars import CORE, NO_TAGS, plain, tagged

# The maximum cost of a document with its aliases expanded: 8 for each value and 1 for each character.
_MAX_COST = 8 * 1024 * 1024
_VALUE_COST = 8


class Builder:
    """Handles the events of a text in order. After the last one, `source()` returns the document."""

    def __init__(self) -> None:
        self._root = RootFrame()
        self._stack: list[Frame] = [self._root]
        self._anchors: dict[str, Node | None] = {}  # None while the node is being read
        self._cost = 0
        self._documents = 0
        self._faults: list[Fault] = []

    def handle(self, event: yaml.Event) -> None:
        """Add an event. Raises `InvalidInput` for a fault after which reading cannot continue."""
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(self, event)

    def source(self) -> Source:
        """Return the document. Raises `InvalidInput` with the faults found so far."""
        if self._faults:
            raise InvalidInput(*self._faults)
        if self._root.value is None:
            raise InvalidInput("the document is empty; expected a job or a task")
        mark = self._root.mark
        return Source(self._root.value, Position(mark.line, mark.column, self._root.inner))

    def _document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            self._refuse("a second document starts here; only one is allowed", event.start_mark)

    def _scalar(self, event: Any) -> None:
        text, mark = event.value, event.start_mark
        is_plain = event.tag is None and event.implicit[0]
        cost = _VALUE_COST + len(text)
        self._spend(cost, mark)
        value = self._tagged(event) if event.tag is not None else plain(text) if is_plain else text
        if isinstance(value, int | float):
            value = Scalar(value, text)
        if event.anchor is not None:
            self._anchors[event.anchor] = Node(value, None, cost, 0, is_plain)
        self._add(value, None, mark, is_plain=is_plain)

    def _tagged(self, event: Any) -> Any:
        try:
            return tagged(event.value, event.tag)
        except ValueError as error:
            self._refuse(str(error), event.start_mark)

    def _alias(self, event: Any) -> None:
        name, mark = event.anchor, event.start_mark
        if name not in self._anchors:
            self._refuse(f"no anchor {quote(name)} before this alias", mark)
        node = self._anchors[name]
        if node is None:
            self._refuse(f"the alias {quote(name)} is inside the value that it refers to", mark)
        self._spend(node.cost, mark)
        if len(self._stack) - 1 + node.height > MAX_LEVELS:
            self._refuse(TOO_DEEP, mark)
        self._add_node(node, mark)

    def _start_list(self, event: Any) -> None:
        self._start(event, ListFrame, CORE + "seq")

    def _start_mapping(self, event: Any) -> None:
        self._start(event, MappingFrame, CORE + "map")

    def _start(self, event: Any, frame: type[Frame], tag: str) -> None:
        mark = event.start_mark
        if event.tag not in (None, tag):
            self._refuse(NO_TAGS, mark)
        if len(self._stack) > MAX_LEVELS:
            self._refuse(TOO_DEEP, mark)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._stack.append(frame(event.anchor, mark, self._cost))
        self._spend(_VALUE_COST, mark)

    def _end(self, _event: Any) -> None:
        frame = self._stack.pop()
        node = frame.finish(self._cost)
        if frame.anchor is not None:
            self._anchors[frame.anchor] = node
        self._add_node(node, frame.mark)

    def _add_node(self, node: Node, mark: Mark) -> None:
        frame = self._stack[-1]
        frame.height = max(frame.height, node.height + 1)
        self._add(node.value, node.inner, mark, is_plain=node.is_plain)

    def _add(self, value: Any, inner: Any, mark: Mark, *, is_plain: bool) -> None:
        try:
            self._stack[-1].add(value, inner, mark, is_plain=is_plain)
        except Refused as refused:
            self._add_fault(str(refused), mark, refused.path)

    def _spend(self, cost: int, mark: Mark) -> None:
        self._cost += cost
        if self._cost > _MAX_COST:
            self._refuse("the document is too large with its aliases expanded", mark)

    def _refuse(self, message: str, mark: Mark) -> NoReturn:
        self._add_fault(message, mark)
        raise InvalidInput(*self._faults)

    def _add_fault(self, message: str, mark: Mark, inner: Path = ()) -> None:
        path = tuple(part for frame in self._stack for part in frame.step) + inner
        self._faults.append(Fault(path_text(path), message, mark.line + 1, mark.column + 1))
        if len(self._faults) >= MOST_FAULTS:
            raise InvalidInput(*self._faults)

    _handlers: ClassVar[dict[type, Callable[["Builder", Any], None]]] = {
        yaml.DocumentStartEvent: _document,
        yaml.ScalarEvent: _scalar,
        yaml.AliasEvent: _alias,
        yaml.SequenceStartEvent: _start_list,
        yaml.SequenceEndEvent: _end,
        yaml.MappingStartEvent: _start_mapping,
        yaml.MappingEndEvent: _end,
    }
