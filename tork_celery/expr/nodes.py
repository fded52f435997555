"""The syntax tree: what an expression says, each part with the offset where it stands."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tork_celery.expr import limits
from tork_celery.expr.errors import Fault


@dataclass(slots=True, kw_only=True)
class Node:
    """A part of an expression. It is refused as it is made once the tree is too big or too deep."""

    at: int
    size: int = field(init=False, default=1)
    depth: int = field(init=False, default=1)

    def __post_init__(self) -> None:
        for child in self.children():
            self.size += child.size
            self.depth = max(self.depth, child.depth + 1)
        if self.depth > limits.DEPTH:
            raise Fault("the expression is nested too deeply", self.at)
        if self.size > limits.NODES:
            raise Fault("the expression is too long", self.at)

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
    """`#`, `#index` or `#acc`: what a loop is at."""

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
class Comparison(Node):
    """`a < b <= c`: each operand is evaluated once, up to the first comparison that fails."""

    ops: list[str]
    operands: list[Node]

    def children(self) -> Iterable[Node]:
        return self.operands


@dataclass(slots=True, kw_only=True)
class Member(Node):
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
class Method(Node):
    base: Node
    name: str
    args: list[Node]
    optional: bool = False

    def children(self) -> Iterable[Node]:
        return (self.base, *self.args)


@dataclass(slots=True, kw_only=True)
class Chain(Node):
    """Where a missing base of `?.` stops: the whole chain is nil then."""

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
class Loop(Node):
    """A function with a predicate; `extra` is the order of sortBy, or what reduce starts from."""

    name: str
    items: Node
    body: Node | None
    extra: Node | None

    def children(self) -> Iterable[Node]:
        return [node for node in (self.items, self.body, self.extra) if node]


@dataclass(slots=True, kw_only=True)
class Conditional(Node):
    """`then` is None in `a ?: b`: the condition's own value."""

    condition: Node
    then: Node | None
    other: Node

    def children(self) -> Iterable[Node]:
        return [node for node in (self.condition, self.then, self.other) if node]


@dataclass(slots=True, kw_only=True)
class ListOf(Node):
    items: list[Node]

    def children(self) -> Iterable[Node]:
        return self.items


@dataclass(slots=True, kw_only=True)
class MapOf(Node):
    pairs: list[tuple[Node, Node]]

    def children(self) -> Iterable[Node]:
        return [node for pair in self.pairs for node in pair]


@dataclass(slots=True, kw_only=True)
class Let(Node):
    name: str
    value: Node
    body: Node

    def children(self) -> Iterable[Node]:
        return (self.value, self.body)


@dataclass(slots=True, kw_only=True)
class Sequence(Node):
    nodes: list[Node]

    def children(self) -> Iterable[Node]:
        return self.nodes


def written_bool(node: Node) -> bool | None:
    """What the node is ahead of time when it is written as true or false, or as not of one of them."""
    if isinstance(node, Literal) and isinstance(node.value, bool):
        return node.value
    if isinstance(node, Unary) and node.op in {"!", "not"}:
        inner = written_bool(node.operand)
        return None if inner is None else not inner
    return None
