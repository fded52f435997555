"""Operator precedence: builds a tree from a flat list of operands and operators by precedence climbing."""

from collections.abc import Callable
from dataclasses import dataclass

from tork_celery.expr import limits
from tork_celery.expr.errors import LanguageError
from tork_celery.expr.syntax.ast import Binary, ChainedComparison, Node, Unary

PREFIX = {"not": 50, "!": 50, "-": 90, "+": 90}
"""Precedence of the prefix operators."""

INFIX = {
    "|": 0,
    "or": 10,
    "||": 10,
    "and": 15,
    "&&": 15,
    "==": 20,
    "!=": 20,
    "<": 20,
    ">": 20,
    ">=": 20,
    "<=": 20,
    "in": 20,
    "matches": 20,
    "contains": 20,
    "startsWith": 20,
    "endsWith": 20,
    "..": 25,
    "+": 30,
    "-": 30,
    "*": 60,
    "/": 60,
    "%": 60,
    "**": 100,
    "^": 100,
    "??": 500,
}
"""Precedence of the infix operators, from expr 1.17.7."""

_RIGHT_ASSOCIATIVE = frozenset({"**", "^"})
_CHAINABLE = frozenset({"<", ">", "<=", ">="})


@dataclass(frozen=True, slots=True)
class Prefix:
    op: str
    offset: int


@dataclass(frozen=True, slots=True)
class Infix:
    op: str
    offset: int
    negated: bool = False


PipedCall = Callable[[Node], Node]
"""The call after a `|`: builds the node from the first argument."""
Part = Node | Prefix | Infix | PipedCall


def build_tree(parts: list[Part]) -> Node:
    """Build the tree of an operation, for example from `not`, a, `+`, b.

    Raises LanguageError when `??` is mixed with other operators without parentheses, as expr does.
    """
    return _Climber(parts).climb(0, 0)


class _Climber:
    def __init__(self, parts: list[Part]) -> None:
        self._parts = parts
        self._next = 0

    def climb(self, lowest: int, level: int) -> Node:
        """Build a tree from the operators of at least the precedence `lowest`."""
        left = self._operand(level)
        previous = ""
        while (infix := self._peek_infix()) and INFIX[infix.op] >= lowest:
            self._next += 1
            if previous == "??" and infix.op not in {"??", "|"}:
                raise LanguageError(f"mixing ?? and {infix.op} requires parentheses", infix.offset)
            left = self._join(left, infix, level)
            previous = infix.op
        return left

    def _peek_infix(self) -> Infix | None:
        part = self._parts[self._next] if self._next < len(self._parts) else None
        return part if isinstance(part, Infix) else None

    def _operand(self, level: int) -> Node:
        if level > limits.DEPTH:
            raise LanguageError("the expression is nested too deeply")
        part = self._parts[self._next]
        self._next += 1
        if isinstance(part, Prefix):
            operand = self.climb(PREFIX[part.op], level + 1)
            return Unary(offset=part.offset, op=part.op, operand=operand)
        if not isinstance(part, Node):
            raise LanguageError("an operand is missing")
        return part

    def _join(self, left: Node, infix: Infix, level: int) -> Node:
        if infix.op == "|":
            return self._pipe(left)
        if infix.op in _CHAINABLE:
            return self._compare(left, infix, level)
        lowest = INFIX[infix.op] + (infix.op not in _RIGHT_ASSOCIATIVE)
        right = self.climb(lowest, level + 1)
        joined = Binary(offset=infix.offset, op=infix.op, left=left, right=right)
        return Unary(offset=infix.offset, op="not", operand=joined) if infix.negated else joined

    def _pipe(self, left: Node) -> Node:
        call = self._parts[self._next]
        self._next += 1
        if isinstance(call, (Node, Prefix, Infix)):
            raise LanguageError("a call must follow |")
        return call(left)

    def _compare(self, left: Node, infix: Infix, level: int) -> Node:
        lowest = INFIX[infix.op] + 1
        operands, ops = [left, self.climb(lowest, level + 1)], [infix.op]
        while (following := self._peek_infix()) and following.op in _CHAINABLE:
            self._next += 1
            ops.append(following.op)
            operands.append(self.climb(lowest, level + 1))
        if len(ops) == 1:
            return Binary(offset=infix.offset, op=infix.op, left=left, right=operands[1])
        return ChainedComparison(offset=infix.offset, ops=ops, operands=operands)
