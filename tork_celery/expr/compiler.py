"""From a syntax tree to a function of a run.

Each node becomes a closure over the closures of its parts, which takes a few tenths of a microsecond a node;
walking the tree each time takes several times that. Nothing of Python can be named in an expression.
"""

from collections.abc import Callable
from typing import Any

from tork_celery.expr.access import cut, fetch
from tork_celery.expr.checking import ENVIRONMENT
from tork_celery.expr.errors import Fault
from tork_celery.expr.functions import FUNCTIONS
from tork_celery.expr.infix import OPERATORS
from tork_celery.expr.kinds import kind_of
from tork_celery.expr.loops import ACC, CELLS, DRIVERS, INDEX, ITEM
from tork_celery.expr.methods import invoke
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
    written_bool,
)
from tork_celery.expr.operators import negated, truth
from tork_celery.expr.run import Evaluate, Run, weight_of

_POINTERS = {"": ITEM, "index": INDEX, "acc": ACC}
# What a chain carries on when `?.` met nil; no expression ever sees it.
_CUT = object()


class Compiler:
    """Compiles one tree that the checker has accepted, or would accept."""

    def __init__(self) -> None:
        self._variables: dict[str, int] = {}
        self._loops: list[int] = []
        self._used = 0
        # How many cells a run of the tree needs.
        self.cells = 0

    def compiled(self, node: Node) -> Evaluate:
        return self._BY_NODE[type(node)](self, node)

    def _take_cells(self, count: int) -> int:
        first = self._used
        self._used += count
        self.cells = max(self.cells, self._used)
        return first

    def _literal(self, node: Literal) -> Evaluate:
        value = node.value
        return lambda _: value

    def _name(self, node: Name) -> Evaluate:
        name = node.name
        if name in self._variables:
            cell = self._variables[name]
            return lambda run: run.cells[cell]
        if name == ENVIRONMENT:
            return lambda run: dict(run.names)
        return lambda run: run.names.get(name)

    def _pointer(self, node: Pointer) -> Evaluate:
        cell = self._loops[-1] + _POINTERS[node.name]
        return lambda run: run.cells[cell]

    def _unary(self, node: Unary) -> Evaluate:
        operand, at = self.compiled(node.operand), node.at
        if node.op == "+":
            return operand
        if node.op == "-":
            return _located(at, lambda run: negated(operand(run)))
        return _located(at, lambda run: not truth(operand(run)))

    def _binary(self, node: Binary) -> Evaluate:
        if node.op in {"and", "&&", "or", "||"}:
            return self._logic(node, stops_at=node.op in {"or", "||"})
        left, right, at = self.compiled(node.left), self.compiled(node.right), node.at
        if node.op == "??":
            return lambda run: right(run) if (value := left(run)) is None else value
        apply = OPERATORS[node.op]

        def binary(run: Run) -> object:
            try:
                return apply(run, left(run), right(run))
            except Fault as fault:
                fault.locate(at)
                raise

        return binary

    def _logic(self, node: Binary, *, stops_at: bool) -> Evaluate:
        """A side that is written as true or false decides ahead of time, whatever the other side would be."""
        left, right, at = self.compiled(node.left), self.compiled(node.right), node.at
        constants = (written_bool(node.left), written_bool(node.right))
        if stops_at in constants:
            return lambda _: stops_at
        if constants[0] is not None:
            return right
        if constants[1] is not None:
            return left

        def logic(run: Run) -> object:
            return stops_at if truth(left(run)) is stops_at else right(run)

        return _located(at, logic)

    def _comparison(self, node: Comparison) -> Evaluate:
        first, *rest = [self.compiled(operand) for operand in node.operands]
        steps = [(OPERATORS[op], operand) for op, operand in zip(node.ops, rest, strict=True)]

        def comparison(run: Run) -> bool:
            left = first(run)
            for apply, operand in steps:
                right = operand(run)
                if not apply(run, left, right):
                    return False
                left = right
            return True

        return _located(node.at, comparison)

    def _member(self, node: Member) -> Evaluate:
        base, key, at, optional = self.compiled(node.base), self.compiled(node.key), node.at, node.optional

        def member(run: Run) -> object:
            value = base(run)
            if value is _CUT or (value is None and optional):
                return _CUT
            try:
                return fetch(run, value, key(run))
            except Fault as fault:
                fault.locate(at)
                raise

        return member

    def _slice(self, node: Slice) -> Evaluate:
        base = self.compiled(node.base)
        start = self.compiled(node.start) if node.start else _nil
        stop = self.compiled(node.stop) if node.stop else _nil

        def part(run: Run) -> object:
            value = base(run)
            return value if value is _CUT else cut(run, value, start(run), stop(run))

        return _located(node.at, part)

    def _method(self, node: Method) -> Evaluate:
        base, args, name = self.compiled(node.base), [self.compiled(arg) for arg in node.args], node.name

        def method(run: Run) -> object:
            value = base(run)
            if value is _CUT or (value is None and node.optional):
                return _CUT
            return invoke(run, value, name, [arg(run) for arg in args])

        return _located(node.at, method)

    def _chain(self, node: Chain) -> Evaluate:
        link = self.compiled(node.link)
        return lambda run: None if (value := link(run)) is _CUT else value

    def _call(self, node: Call) -> Evaluate:
        args = [self.compiled(arg) for arg in node.args]
        function = FUNCTIONS[node.name]
        form, call = function.form(len(args)), function.call
        strict, instant = function.strict, function.instant

        def invoked(run: Run) -> object:
            values = [arg(run) for arg in args]
            if strict:
                function.check(values, form)
            run.spend(1 if instant else weight_of(values))
            return call(run, *values)

        return _located(node.at, invoked)

    def _loop(self, node: Loop) -> Evaluate:
        items = self.compiled(node.items)
        cell = self._take_cells(CELLS)
        self._loops.append(cell)
        body = self.compiled(node.body) if node.body else (lambda run: run.cells[cell])
        self._loops.pop()
        extra = self.compiled(node.extra) if node.extra else None
        self._used -= CELLS
        driver, name, cost = DRIVERS[node.name], node.name, 1 + (node.body.size if node.body else 1)

        def loop(run: Run) -> object:
            value = items(run)
            if not isinstance(value, list | tuple):
                raise Fault(f"{name} takes array, not {kind_of(value)}")
            run.spend(len(value) * cost)
            return driver(run, value, body, cell, extra)

        return _located(node.at, loop)

    def _conditional(self, node: Conditional) -> Evaluate:
        condition, other = self.compiled(node.condition), self.compiled(node.other)
        then = self.compiled(node.then) if node.then else (lambda _: True)
        return _located(node.at, lambda run: then(run) if truth(condition(run)) else other(run))

    def _list(self, node: ListOf) -> Evaluate:
        items = [self.compiled(item) for item in node.items]
        return lambda run: [item(run) for item in items]

    def _map(self, node: MapOf) -> Evaluate:
        pairs = [(self.compiled(key), self.compiled(value)) for key, value in node.pairs]

        def made(run: Run) -> dict[str, object]:
            entries: dict[str, object] = {}
            for key, value in pairs:
                name = key(run)
                if not isinstance(name, str):
                    raise Fault(f"the key of a map must be string, not {kind_of(name)}")
                entries[name] = value(run)
            return entries

        return _located(node.at, made)

    def _let(self, node: Let) -> Evaluate:
        value, cell = self.compiled(node.value), self._take_cells(1)
        self._variables[node.name] = cell
        body = self.compiled(node.body)
        del self._variables[node.name]
        self._used -= 1

        def let(run: Run) -> object:
            run.cells[cell] = value(run)
            return body(run)

        return let

    def _sequence(self, node: Sequence) -> Evaluate:
        *before, last = [self.compiled(part) for part in node.nodes]

        def sequence(run: Run) -> object:
            for part in before:
                part(run)
            return last(run)

        return sequence

    _BY_NODE: dict[type, Callable[[Any, Any], Evaluate]] = {  # noqa: RUF012 - never changed
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


def _nil(_: Run) -> None:
    return None


def _located(at: int, evaluate: Evaluate) -> Evaluate:
    def located(run: Run) -> object:
        try:
            return evaluate(run)
        except Fault as fault:
            fault.locate(at)
            raise

    return located
