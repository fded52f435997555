"""From YAML events to plain values, with bounds on depth and on what aliases amount to."""

from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

import yaml

from tork_celery.domain.errors import MOST_FAULTS, Fault, InvalidInput
from tork_celery.jobfile.source import MOST_LEVELS, TOO_DEEP, Mark, Path, Place, Source, path_text
from tork_celery.jobfile.texts import shown
from tork_celery.jobfile.yaml_frames import Frame, ListFrame, MappingFrame, Node, Refused, RootFrame
from tork_celery.jobfile.yaml_scalars import CORE, NO_TAGS, plain, tagged

# What a document may amount to with its aliases written out: each character 1, and each value 8 more.
_MOST_COST = 8 * 1024 * 1024
_COST_OF_A_VALUE = 8


class Builder:
    """Takes the events of a text one after the other; at the end, `source()` is what they make."""

    def __init__(self) -> None:
        self._root = RootFrame()
        self._stack: list[Frame] = [self._root]
        self._anchors: dict[str, Node | None] = {}  # None while the node is being read
        self._cost = 0
        self._documents = 0
        self._faults: list[Fault] = []

    def take(self, event: yaml.Event) -> None:
        """Raises `InvalidInput` as soon as it makes no sense to go on."""
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(self, event)

    def source(self) -> Source:
        if self._faults:
            raise InvalidInput(*self._faults)
        if self._root.value is None:
            raise InvalidInput("the document is empty; expected a job or a task")
        return Source(self._root.value, Place(self._root.mark.line, self._root.mark.column, self._root.inner))

    def _document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            self._refuse("a second document starts here; expected only one", event.start_mark)

    def _scalar(self, event: Any) -> None:
        text, mark = event.value, event.start_mark
        is_plain = event.tag is None and event.implicit[0]
        cost = _COST_OF_A_VALUE + len(text)
        self._spend(cost, mark)
        value = self._tagged(event) if event.tag is not None else plain(text) if is_plain else text
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
            self._refuse(f"no anchor of the name {shown(name)} stands before this alias", mark)
        node = self._anchors[name]
        if node is None:
            self._refuse(f"the alias {shown(name)} stands inside of what it refers to", mark)
        self._spend(node.cost, mark)
        if len(self._stack) - 1 + node.height > MOST_LEVELS:
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
        if len(self._stack) > MOST_LEVELS:
            self._refuse(TOO_DEEP, mark)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._stack.append(frame(event.anchor, mark, self._cost))
        self._spend(_COST_OF_A_VALUE, mark)

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
            self._note(str(refused), mark, refused.path)

    def _spend(self, cost: int, mark: Mark) -> None:
        self._cost += cost
        if self._cost > _MOST_COST:
            self._refuse("the document is too large with its aliases written out", mark)

    def _refuse(self, message: str, mark: Mark) -> NoReturn:
        self._note(message, mark)
        raise InvalidInput(*self._faults)

    def _note(self, message: str, mark: Mark, further: Path = ()) -> None:
        path = tuple(part for frame in self._stack for part in frame.step) + further
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
