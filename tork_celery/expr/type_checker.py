"""The static type checker, which rejects an expression that cannot be evaluated in a given context.

Reasons are an unknown name, operands of types that an operator never takes, and wrong arguments.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tork_celery.expr import type_rules
from tork_celery.expr.builtins import FUNCTIONS
from tork_celery.expr.builtins.methods import METHODS, find_method
from tork_celery.expr.builtins.predicates import PREDICATE_FUNCTIONS
from tork_celery.expr.errors import LanguageError
from tork_celery.expr.operators.regex import compile_pattern
from tork_celery.expr.syntax import ast
from tork_celery.expr.syntax.ast import Node
from tork_celery.expr.values.types import ANY, BOOL, FUNCTION, INT, LIST, MAP, Type, list_of, type_of


class TypeChecker:
    """Checks one tree against the types of the names in a context; the type of a missing name is None.

    Without names, every name is assumed to exist and to have the type `any`.
    """

    def __init__(self, names: Mapping[str, Type | None] | None) -> None:
        self._names = names
        self._variables: dict[str, Type] = {}
        self._pointers: list[dict[str, Type]] = []

    def check(self, node: Node) -> Type:
        """Return the static type of a node. Raises LanguageError, with an offset, for an invalid node."""
        try:
            return self._BY_NODE[type(node)](self, node)
        except LanguageError as error:
            error.locate(node.offset)
            raise

    def _literal(self, node: ast.Literal) -> Type:
        return type_of(node.value)

    def _name(self, node: ast.Name) -> Type:
        if node.name in self._variables:
            return self._variables[node.name]
        if node.name == ast.ENVIRONMENT:
            return ANY
        return self._context_name(node.name, allow_functions=True)

    def _context_name(self, name: str, *, allow_functions: bool) -> Type:
        static_type = self._names.get(name) if self._names is not None else ANY
        if static_type:
            return static_type
        if allow_functions and _is_function(name):
            return FUNCTION
        raise LanguageError(f"unknown name {name}")

    def _pointer(self, node: ast.Pointer) -> Type:
        if not self._pointers:
            raise LanguageError("# is available only in a predicate")
        static_type = self._pointers[-1].get(node.name)
        if not static_type:
            raise LanguageError(f"#{node.name} is not available here")
        return static_type

    def _unary(self, node: ast.Unary) -> Type:
        return type_rules.type_of_unary(node.op, self.check(node.operand))

    def _binary(self, node: ast.Binary) -> Type:
        left, right = self.check(node.left), self.check(node.right)
        if node.op == "matches" and isinstance(node.right, ast.Literal) and isinstance(node.right.value, str):
            compile_pattern(node.right.value)
        return type_rules.type_of_binary(node.op, left, right)

    def _chained_comparison(self, node: ast.ChainedComparison) -> Type:
        types = [self.check(operand) for operand in node.operands]
        for op, left, right in zip(node.ops, types, types[1:], strict=False):
            type_rules.type_of_binary(op, left, right)
        return BOOL

    def _member(self, node: ast.Member) -> Type:
        if ast.is_environment_member(node):
            return self._environment_member(node)
        base, key = self.check(node.base), self.check(node.key)
        if base.name == "map":
            return self._item(base, key, "string")
        if base.name == "array":
            return self._item(base, key, "int")
        if base is ANY:
            return ANY
        raise LanguageError(f"{base} has no items")

    def _environment_member(self, node: ast.Member) -> Type:
        if not isinstance(node.key, ast.Literal) or not isinstance(node.key.value, str):
            self.check(node.key)
            return ANY
        if node.optional and self._names is not None and not self._names.get(node.key.value):
            return ANY
        return self._context_name(node.key.value, allow_functions=False)

    def _item(self, base: Type, key: Type, key_type: str) -> Type:
        if key is not ANY and key.name != key_type:
            raise LanguageError(f"the key of {base} must be {key_type}, not {key}")
        return base.item

    def _slice(self, node: ast.Slice) -> Type:
        base = self.check(node.base)
        if base.name not in {"string", "array", "any"}:
            raise LanguageError(f"{base} cannot be sliced")
        for bound in (node.start, node.stop):
            if bound and (bound_type := self.check(bound)) not in (INT, ANY):
                raise LanguageError(f"the bound of a slice must be int, not {bound_type}", bound.offset)
        return base

    def _method_call(self, node: ast.MethodCall) -> Type:
        base = self.check(node.base)
        args = [self.check(arg) for arg in node.args]
        if base.name in METHODS:
            return find_method(base.name, node.name).result_type([base, *args])
        if base.name in {"any", "map"}:
            return ANY
        raise LanguageError(f"{base} has no method {node.name}")

    def _chain(self, node: ast.Chain) -> Type:
        return self.check(node.link)

    def _call(self, node: ast.Call) -> Type:
        function = FUNCTIONS.get(node.name)
        if not function:
            raise LanguageError(f"unknown function {node.name}")
        return function.result_type([self.check(arg) for arg in node.args])

    def _predicate_call(self, node: ast.PredicateCall) -> Type:
        items = self.check(node.items)
        if items.name not in {"array", "any"}:
            raise LanguageError(f"{node.name} takes array, not {items}", node.items.offset)
        index = {"index": INT} if node.name in type_rules.WITH_INDEX else {}
        accumulator = {"acc": ANY} if node.name == "reduce" else {}
        self._pointers.append({"": items.item, **index, **accumulator})
        predicate = self.check(node.predicate) if node.predicate else None
        self._pointers.pop()
        if node.extra:
            self.check(node.extra)
        return type_rules.type_of_predicate_call(node.name, items, predicate)

    def _conditional(self, node: ast.Conditional) -> Type:
        condition = self.check(node.condition)
        if condition not in (BOOL, ANY):
            raise LanguageError(f"a condition must be bool, not {condition}", node.condition.offset)
        then = self.check(node.then) if node.then else condition
        return type_rules.union(then, self.check(node.otherwise))

    def _list_literal(self, node: ast.ListLiteral) -> Type:
        types = [self.check(item) for item in node.items]
        if not types or any(item_type != types[0] for item_type in types):
            return LIST
        return list_of(types[0])

    def _map_literal(self, node: ast.MapLiteral) -> Type:
        for key, value in node.entries:
            self.check(key)
            self.check(value)
        return MAP

    def _let(self, node: ast.Let) -> Type:
        in_context = self._names is not None and self._names.get(node.name)
        if in_context or node.name in self._variables or _is_function(node.name):
            raise LanguageError(f"{node.name} is already declared")
        self._variables[node.name] = self.check(node.value)
        body = self.check(node.body)
        del self._variables[node.name]
        return body

    def _sequence(self, node: ast.Sequence) -> Type:
        return [self.check(part) for part in node.nodes][-1]

    _BY_NODE: dict[type, Callable[[Any, Any], Type]] = {  # noqa: RUF012 - a constant
        ast.Literal: _literal,
        ast.Name: _name,
        ast.Pointer: _pointer,
        ast.Unary: _unary,
        ast.Binary: _binary,
        ast.ChainedComparison: _chained_comparison,
        ast.Member: _member,
        ast.Slice: _slice,
        ast.MethodCall: _method_call,
        ast.Chain: _chain,
        ast.Call: _call,
        ast.PredicateCall: _predicate_call,
        ast.Conditional: _conditional,
        ast.ListLiteral: _list_literal,
        ast.MapLiteral: _map_literal,
        ast.Let: _let,
        ast.Sequence: _sequence,
    }


def _is_function(name: str) -> bool:
    return name in FUNCTIONS or name in PREDICATE_FUNCTIONS
