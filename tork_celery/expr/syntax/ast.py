"""Nodes of the syntax tree, each with its offset in the source."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tork_celery.expr import limits
from tork_celery.expr.errors import LanguageError

ENVIRONMENT = "$env"
"""The name that stands for the whole context."""


@dataclass(slots=True, kw_only=True)
class Node:
    """Base of all nodes. The constructor raises LanguageError when the tree becomes too large or too deep."""

    offset: int
    size: int = field(init=False, default=1)
    depth: int = field(init=False, default=1)

    def __post_init__(self) -> None:
        for child in self.children():
            self.size += child.size
            self.depth = max(self.depth, child.depth + 1)
        if self.depth > limits.DEPTH:
            raise LanguageError("the expression is nested too deeply", self.offset)
        if self.size > limits.NODES:
            raise LanguageError("the expression is too long", self.offset)

    def children(self) -> Iterable["Node"]:
        return ()


@dataclass(slots=True, kw_only=True)
class Literal(Node):
    value: object


@dataclass(slots=True, kw_only=True)
class Name(Node):
    name: str


@dataclass(slots=True, kw_only=True)
class Pointer(Node):
    """`#`, `#index` or `#acc` in a predicate; `name` is empty for `#`."""

    name: str


@dataclass(slots=True, kw_only=True)
class Unary(Node):
    op: str
    operand: Node

    def children(self) -> Iterable[Node]:
        return (self.operand,)


@dataclass(slots=True, kw_only=True)
class Binary(Node):
    op: str
    left: Node
    right: Node

    def children(self) -> Iterable[Node]:
        return (self.left, self.right)


@dataclass(slots=True, kw_only=True)
class ChainedComparison(Node):
    """`a < b <= c`. Operands are evaluated once, and only until a comparison is false."""

    ops: list[str]
    operands: list[Node]

    def children(self) -> Iterable[Node]:
        return self.operands


@dataclass(slots=True, kw_only=True)
class Member(Node):
    """`base.key` or `base[key]`; with `optional`, `base?.key`."""

    base: Node
    key: Node
    optional: bool = False

    def children(self) -> Iterable[Node]:
        return (self.base, self.key)


@dataclass(slots=True, kw_only=True)
class Slice(Node):
    base: Node
    start: Node | None
    stop: Node | None

    def children(self) -> Iterable[Node]:
        return [node for node in (self.base, self.start, self.stop) if node]


@dataclass(slots=True, kw_only=True)
class MethodCall(Node):
    base: Node
    name: str
    args: list[Node]
    optional: bool = False

    def children(self) -> Iterable[Node]:
        return (self.base, *self.args)


@dataclass(slots=True, kw_only=True)
class Chain(Node):
    """The extent of `?.`: if an optional base is nil, the value of the whole chain is nil."""

    link: Node

    def children(self) -> Iterable[Node]:
        return (self.link,)


@dataclass(slots=True, kw_only=True)
class Call(Node):
    name: str
    args: list[Node]

    def children(self) -> Iterable[Node]:
        return self.args


@dataclass(slots=True, kw_only=True)
class PredicateCall(Node):
    """A call of a function with a predicate. `extra` is the order of sortBy, or the first value of reduce."""

    name: str
    items: Node
    predicate: Node | None
    extra: Node | None

    def children(self) -> Iterable[Node]:
        return [node for node in (self.items, self.predicate, self.extra) if node]


@dataclass(slots=True, kw_only=True)
class Conditional(Node):
    """`a ? b : c`. In `a ?: c`, `then` is None and stands for the value of the condition."""

    condition: Node
    then: Node | None
    otherwise: Node

    def children(self) -> Iterable[Node]:
        return [node for node in (self.condition, self.then, self.otherwise) if node]


@dataclass(slots=True, kw_only=True)
class ListLiteral(Node):
    items: list[Node]

    def children(self) -> Iterable[Node]:
        return self.items


@dataclass(slots=True, kw_only=True)
class MapLiteral(Node):
    entries: list[tuple[Node, Node]]

    def children(self) -> Iterable[Node]:
        return [node for entry in self.entries for node in entry]


@dataclass(slots=True, kw_only=True)
class Let(Node):
    name: str
    value: Node
    body: Node

    def children(self) -> Iterable[Node]:
        return (self.value, self.body)


@dataclass(slots=True, kw_only=True)
class Sequence(Node):
    """`a; b`: the value is that of the last node."""

    nodes: list[Node]

    def children(self) -> Iterable[Node]:
        return self.nodes


def constant_bool(node: Node) -> bool | None:
    """Return the value of `true`, `false` and their negations, and None for other nodes."""
    if isinstance(node, Literal) and isinstance(node.value, bool):
        return node.value
    if isinstance(node, Unary) and node.op in {"!", "not"}:
        operand = constant_bool(node.operand)
        return None if operand is None else not operand
    return None


def is_environment_member(node: Member) -> bool:
    """Return whether the node accesses the context, as `$env.name` does."""
    return isinstance(node.base, Name) and node.base.name == ENVIRONMENT


def referenced_names(tree: Node) -> tuple[str, ...]:
    """Return the names of the context on whose types the validity of a tree depends.

    These are the names that the tree uses, and those of its variables, which must not hide a name.
    """
    names: set[str] = set()
    pending = [tree]
    while pending:
        node = pending.pop()
        pending.extend(node.children())
        if isinstance(node, Name | Let):
            names.add(node.name)
        elif isinstance(node, Member) and is_environment_member(node) and isinstance(node.key, Literal):
            names.add(str(node.key.value))
    return tuple(sorted(names - {ENVIRONMENT}))
