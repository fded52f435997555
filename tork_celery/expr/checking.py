"""Checking an expression before it is evaluated, by the kinds that the names of its context have.

What can never be is refused here: an unknown name, an operator between kinds that do not go together, an
argument of the wrong kind.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tork_celery.expr import loops, patterns, rules
from tork_celery.expr.errors import Fault
from tork_celery.expr.functions import FUNCTIONS
from tork_celery.expr.kinds import ANY, BOOL, FUNCTION, INT, LIST, MAP, Type, list_of, type_of
from tork_celery.expr.methods import METHODS, method_of
from tork_celery.expr.nodes import (
    Binary,
    Call,
    Chain,
    Comparison,
    Conditional,
    Let,
    ListOf,
    Literal,
    Loop,
    MapOf,
    Member,
    Method,
    Name,
    Node,
    Pointer,
    Sequence,
    Slice,
    Unary,
)

ENVIRONMENT = "$env"


class Checker:
    """Reads a tree against the types of the names at the top of a context; a name that is not there is None.

    Without names (None) every name is taken to exist, and to be of any kind.
    """

    def __init__(self, names: Mapping[str, Type | None] | None) -> None:
        self._names = names
        self._variables: dict[str, Type] = {}
        self._pointers: list[dict[str, Type]] = []

    def known(self, node: Node) -> Type:
        """Promise what is known of the node's value; raise Fault, with the place, for what can never be."""
        try:
            return self._BY_NODE[type(node)](self, node)
        except Fault as fault:
            fault.locate(node.at)
            raise

    def _literal(self, node: Literal) -> Type:
        return type_of(node.value)

    def _name(self, node: Name) -> Type:
        if node.name in self._variables:
            return self._variables[node.name]
        if node.name == ENVIRONMENT:
            return ANY
        return self._global(node.name, functions=True)

    def _global(self, name: str, *, functions: bool) -> Type:
        known = self._names.get(name) if self._names is not None else ANY
        if known:
            return known
        if functions and _is_function(name):
            return FUNCTION
        raise Fault(f"unknown name {name}")

    def _pointer(self, node: Pointer) -> Type:
        if not self._pointers:
            raise Fault("# stands for an item only inside of a predicate")
        known = self._pointers[-1].get(node.name)
        if not known:
            raise Fault(f"there is no #{node.name} here")
        return known

    def _unary(self, node: Unary) -> Type:
        return rules.unary(node.op, self.known(node.operand))

    def _binary(self, node: Binary) -> Type:
        left, right = self.known(node.left), self.known(node.right)
        if node.op == "matches" and isinstance(node.right, Literal) and isinstance(node.right.value, str):
            patterns.compiled_pattern(node.right.value)
        return rules.binary(node.op, left, right)

    def _comparison(self, node: Comparison) -> Type:
        types = [self.known(operand) for operand in node.operands]
        for op, left, right in zip(node.ops, types, types[1:], strict=False):
            rules.binary(op, left, right)
        return BOOL

    def _member(self, node: Member) -> Type:
        if _in_environment(node):
            return self._of_environment(node)
        base, key = self.known(node.base), self.known(node.key)
        if base.kind == "map":
            return self._reached(base, key, "string")
        if base.kind == "array":
            return self._reached(base, key, "int")
        if base is ANY:
            return ANY
        raise Fault(f"{base} has no such part")

    def _of_environment(self, node: Member) -> Type:
        if not isinstance(node.key, Literal) or not isinstance(node.key.value, str):
            self.known(node.key)
            return ANY
        if node.optional and self._names is not None and not self._names.get(node.key.value):
            return ANY
        return self._global(node.key.value, functions=False)

    def _reached(self, base: Type, key: Type, wanted: str) -> Type:
        if key is not ANY and key.kind != wanted:
            raise Fault(f"{base} is reached into by {wanted}, not {key}")
        return base.item

    def _slice(self, node: Slice) -> Type:
        base = self.known(node.base)
        if base.kind not in {"string", "array", "any"}:
            raise Fault(f"{base} cannot be sliced")
        for bound in (node.start, node.stop):
            if bound and (kind := self.known(bound)) not in (INT, ANY):
                raise Fault(f"a slice goes by int, not {kind}", bound.at)
        return base

    def _method(self, node: Method) -> Type:
        base = self.known(node.base)
        args = [self.known(arg) for arg in node.args]
        if base.kind in METHODS:
            return method_of(base.kind, node.name).result([base, *args])
        if base.kind in {"any", "map"}:
            return ANY
        raise Fault(f"{base} has no method {node.name}")

    def _chain(self, node: Chain) -> Type:
        return self.known(node.link)

    def _call(self, node: Call) -> Type:
        function = FUNCTIONS.get(node.name)
        if not function:
            raise Fault(f"there is no function {node.name}")
        return function.result([self.known(arg) for arg in node.args])

    def _loop(self, node: Loop) -> Type:
        items = self.known(node.items)
        if items.kind not in {"array", "any"}:
            raise Fault(f"{node.name} takes array, not {items}", node.items.at)
        indexed = {"index": INT} if node.name in rules.INDEXED else {}
        accumulated = {"acc": ANY} if node.name == "reduce" else {}
        self._pointers.append({"": items.item, **indexed, **accumulated})
        body = self.known(node.body) if node.body else None
        self._pointers.pop()
        if node.extra:
            self.known(node.extra)
        return rules.loop(node.name, items, body)

    def _conditional(self, node: Conditional) -> Type:
        condition = self.known(node.condition)
        if condition not in (BOOL, ANY):
            raise Fault(f"a condition must be bool, not {condition}", node.condition.at)
        return rules.either(self.known(node.then) if node.then else condition, self.known(node.other))

    def _list(self, node: ListOf) -> Type:
        types = [self.known(item) for item in node.items]
        if not types or any(kind != types[0] for kind in types):
            return LIST
        return list_of(types[0])

    def _map(self, node: MapOf) -> Type:
        for key, value in node.pairs:
            self.known(key)
            self.known(value)
        return MAP

    def _let(self, node: Let) -> Type:
        taken = self._names is not None and self._names.get(node.name)
        if taken or node.name in self._variables or _is_function(node.name):
            raise Fault(f"{node.name} is declared already")
        self._variables[node.name] = self.known(node.value)
        kind = self.known(node.body)
        del self._variables[node.name]
        return kind

    def _sequence(self, node: Sequence) -> Type:
        return [self.known(part) for part in node.nodes][-1]

    _BY_NODE: dict[type, Callable[[Any, Any], Type]] = {  # noqa: RUF012 - never changed
        Literal: _literal,
        Name: _name,
        Pointer: _pointer,
        Unary: _unary,
        Binary: _binary,
        Comparison: _comparison,
        Member: _member,
        Slice: _slice,
        Method: _method,
        Chain: _chain,
        Call: _call,
        Loop: _loop,
        Conditional: _conditional,
        ListOf: _list,
        MapOf: _map,
        Let: _let,
        Sequence: _sequence,
    }


def _is_function(name: str) -> bool:
    return name in FUNCTIONS or name in loops.DRIVERS


def _in_environment(node: Member) -> bool:
    return isinstance(node.base, Name) and node.base.name == ENVIRONMENT


def names_of(tree: Node) -> tuple[str, ...]:
    """The names whose types decide whether the tree is accepted: those used, and those declared."""
    names: set[str] = set()
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        waiting.extend(node.children())
        if isinstance(node, Name | Let):
            names.add(node.name)
        elif isinstance(node, Member) and _in_environment(node) and isinstance(node.key, Literal):
            names.add(str(node.key.value))
    return tuple(sorted(names - {ENVIRONMENT}))
