"""Which operator binds tighter: a flat run of operands and operators becomes a tree here."""

from collections.abc import Callable
from dataclasses import dataclass

from tork_celery.expr import limits
from tork_celery.expr.errors import Fault
from tork_celery.expr.nodes import Binary, Comparison, Node, Unary

PREFIX = {"not": 50, "!": 50, "-": 90, "+": 90}
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
RIGHT_TO_LEFT = frozenset({"**", "^"})
COMPARISONS = frozenset({"<", ">", "<=", ">="})


@dataclass(frozen=True, slots=True)
class Prefix:
    op: str
    at: int


@dataclass(frozen=True, slots=True)
class Infix:
    op: str
    at: int
    negated: bool = False


# What follows a `|`: it makes a call of what stands before.
Piped = Callable[[Node], Node]
Part = Node | Prefix | Infix | Piped


def tree(parts: list[Part]) -> Node:
    """The tree of a run such as `not`, a, `+`, b. `??` may not be mixed with others without parentheses."""
    return _Climb(parts).expression(0, 0)


class _Climb:
    def __init__(self, parts: list[Part]) -> None:
        self._parts = parts
        self._next = 0

    def expression(self, lowest: int, level: int) -> Node:
        left = self._operand(level)
        before = ""
        while (infix := self._infix()) and INFIX[infix.op] >= lowest:
            self._next += 1
            if before == "??" and infix.op not in {"??", "|"}:
                raise Fault(f"?? and {infix.op} need parentheses to be mixed", infix.at)
            left = self._joined(left, infix, level)
            before = infix.op
        return left

    def _infix(self) -> Infix | None:
        part = self._parts[self._next] if self._next < len(self._parts) else None
        return part if isinstance(part, Infix) else None

    def _operand(self, level: int) -> Node:
        if level > limits.DEPTH:
            raise Fault("the expression is nested too deeply")
        part = self._parts[self._next]
        self._next += 1
        if isinstance(part, Prefix):
            operand = self.expression(PREFIX[part.op], level + 1)
            return Unary(at=part.at, op=part.op, operand=operand)
        if not isinstance(part, Node):
            raise Fault("an operand is missing")
        return part

    def _joined(self, left: Node, infix: Infix, level: int) -> Node:
        if infix.op == "|":
            return self._piped(left)
        if infix.op in COMPARISONS:
            return self._compared(left, infix, level)
        lowest = INFIX[infix.op] + (infix.op not in RIGHT_TO_LEFT)
        joined = Binary(at=infix.at, op=infix.op, left=left, right=self.expression(lowest, level + 1))
        return Unary(at=infix.at, op="not", operand=joined) if infix.negated else joined

    def _piped(self, left: Node) -> Node:
        call = self._parts[self._next]
        self._next += 1
        if isinstance(call, (Node, Prefix, Infix)):
            raise Fault("a call must follow |")
        return call(left)

    def _compared(self, left: Node, infix: Infix, level: int) -> Node:
        lowest = INFIX[infix.op] + 1
        operands, ops = [left, self.expression(lowest, level + 1)], [infix.op]
        while (following := self._infix()) and following.op in COMPARISONS:
            self._next += 1
            ops.append(following.op)
            operands.append(self.expression(lowest, level + 1))
        if len(ops) == 1:
            return Binary(at=infix.at, op=infix.op, left=left, right=operands[1])
        return Comparison(at=infix.at, ops=ops, operands=operands)
