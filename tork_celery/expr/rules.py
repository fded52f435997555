"""What is known ahead of time of operators and loops: which kinds go together, and what comes of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tork_celery.expr.errors import Fault
from tork_celery.expr.kinds import (
    ANY,
    BOOL,
    DURATION,
    FLOAT,
    FUNCTION,
    INT,
    LIST,
    NIL,
    STRING,
    TIME,
    Type,
    list_of,
)

_NUMBERS = frozenset({"int", "float"})
_COMPARABLE = _NUMBERS | {"named"}


@dataclass(frozen=True, slots=True)
class Rule:
    """Pairs of kinds that an operator takes, with the type that each gives.

    Beside a value of unknown kind any kind of a pair will do, and the result is `unsure`.
    """

    pairs: dict[tuple[str, str], Type]
    unsure: Type

    def result(self, op: str, left: Type, right: Type) -> Type:
        found = self.pairs.get((left.kind, right.kind))
        if found:
            return found
        kinds = {left.kind, right.kind}
        if "any" in kinds and kinds - {"any"} <= self._kinds():
            return self.unsure
        raise Fault(f"{op} does not take {left} and {right}")

    def _kinds(self) -> set[str]:
        return {kind for pair in self.pairs for kind in pair}


def _numeric(whole: Type, other: Type) -> dict[tuple[str, str], Type]:
    return {
        ("int", "int"): whole,
        ("int", "float"): other,
        ("float", "int"): other,
        ("float", "float"): other,
    }


def _alike(kinds: Iterable[str], gives: Type) -> dict[tuple[str, str], Type]:
    return {(kind, kind): gives for kind in kinds}


_ORDER = Rule({**_numeric(BOOL, BOOL), **_alike(("string", "time", "duration"), BOOL)}, BOOL)
_LOGIC = Rule(_alike(("bool",), BOOL), BOOL)
_TEXT = Rule(_alike(("string",), BOOL), BOOL)
_POWER = Rule(_numeric(FLOAT, FLOAT), FLOAT)
_DURATIONS = _alike(("duration",), DURATION)
RULES: dict[str, Rule] = {
    "+": Rule(
        {
            **_numeric(INT, FLOAT),
            **_DURATIONS,
            ("string", "string"): STRING,
            ("time", "duration"): TIME,
            ("duration", "time"): TIME,
        },
        ANY,
    ),
    "-": Rule(
        {**_numeric(INT, FLOAT), **_DURATIONS, ("time", "time"): DURATION, ("time", "duration"): TIME},
        ANY,
    ),
    "*": Rule(
        {
            **_numeric(INT, FLOAT),
            **_DURATIONS,
            **{("duration", number): DURATION for number in _NUMBERS},
            **{(number, "duration"): DURATION for number in _NUMBERS},
        },
        ANY,
    ),
    "/": _POWER,
    "**": _POWER,
    "^": _POWER,
    "%": Rule(_alike(("int",), INT), ANY),
    "..": Rule(_alike(("int",), list_of(INT)), list_of(INT)),
    **dict.fromkeys(("<", "<=", ">", ">="), _ORDER),
    **dict.fromkeys(("and", "&&", "or", "||"), _LOGIC),
    **dict.fromkeys(("contains", "startsWith", "endsWith", "matches"), _TEXT),
}


def _may_equal(left: Type, right: Type) -> bool:
    return (
        {"any", "nil"} & {left.kind, right.kind} != set()
        or {left.kind, right.kind} <= _COMPARABLE
        or (left.kind == right.kind != "function")
    )


def equality(op: str, left: Type, right: Type) -> Type:
    if not _may_equal(left, right):
        raise Fault(f"{op} never holds between {left} and {right}")
    return BOOL


def membership(_: str, left: Type, right: Type) -> Type:
    """A list is asked for values like its own, a map for its keys."""
    fits: dict[str, bool] = {
        "any": True,
        "array": left is NIL or _may_equal(left, right.item),
        "map": left in (NIL, ANY, STRING),
        "string": left is ANY,
    }
    if not fits.get(right.kind):
        raise Fault(f"{left} is never in {right}")
    return BOOL


def coalesced(_: str, left: Type, right: Type) -> Type:
    if left is NIL:
        return right
    return left if right in (NIL, left) else ANY


def binary(op: str, left: Type, right: Type) -> Type:
    """What an operator gives; raises Fault when it can never take such operands."""
    special = _SPECIAL.get(op)
    return special(op, left, right) if special else RULES[op].result(op, left, right)


_SPECIAL: dict[str, Callable[[str, Type, Type], Type]] = {
    "==": equality,
    "!=": equality,
    "in": membership,
    "??": coalesced,
}


def unary(op: str, operand: Type) -> Type:
    if op in {"!", "not"}:
        fits, gives = operand in (BOOL, ANY), BOOL
    else:
        fits, gives = operand in (INT, FLOAT, ANY), operand
    if not fits:
        raise Fault(f"{op} does not take {operand}")
    return gives


def either(one: Type, two: Type) -> Type:
    """What is known of a value that is one or the other."""
    if NIL in (one, two):
        return two if one is NIL else one
    return one if one == two else ANY


_FINDS = frozenset({"find", "findLast", "findIndex", "findLastIndex"})
_TESTS = _FINDS | {"all", "any", "none", "one", "filter", "count"}
# The loops that tell their predicate where they are.
INDEXED = frozenset({"map", "reduce"})


def loop(name: str, items: Type, body: Type | None) -> Type:
    """What a loop gives; raises Fault for a predicate that can never be one."""
    if body is NIL or body is FUNCTION or (name in _TESTS and body not in (BOOL, ANY, None)):
        raise Fault(f"the predicate of {name} gives {body}{', not bool' if name in _TESTS else ''}")
    made: dict[str, Type] = {
        "filter": list_of(items.item),
        "find": items.item,
        "findLast": items.item,
        "map": list_of(body or ANY),
        "sum": body or items.item,
        "groupBy": ANY,
        "sortBy": items if items.kind == "array" else LIST,
        "reduce": body or ANY,
        **dict.fromkeys(("findIndex", "findLastIndex", "count"), INT),
    }
    return made.get(name, BOOL)
