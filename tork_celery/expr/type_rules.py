"""Static typing rules of operators and predicate functions: accepted operand types and result types."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tork_celery.expr.errors import LanguageError
from tork_celery.expr.values.types import (
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
_COMPARABLE_AS_NUMBERS = _NUMBERS | {"named"}
_Results = dict[tuple[str, str], Type]


@dataclass(frozen=True, slots=True)
class OperatorRule:
    """The result type of an operator for each pair of operand types.

    If an operand has the type `any`, the other may have each type in `results`, and the result is `unknown`.
    """

    results: _Results
    unknown: Type

    def result_type(self, op: str, left: Type, right: Type) -> Type:
        result = self.results.get((left.name, right.name))
        if result:
            return result
        names = {left.name, right.name}
        if "any" in names and names - {"any"} <= self._operand_types():
            return self.unknown
        raise LanguageError(f"{op} does not take {left} and {right}")

    def _operand_types(self) -> set[str]:
        return {name for pair in self.results for name in pair}


def _on_numbers(integers: Type, other: Type) -> _Results:
    return {
        ("int", "int"): integers,
        ("int", "float"): other,
        ("float", "int"): other,
        ("float", "float"): other,
    }


def _on_same(names: Iterable[str], result: Type) -> _Results:
    return {(name, name): result for name in names}


_ORDER = OperatorRule({**_on_numbers(BOOL, BOOL), **_on_same(("string", "time", "duration"), BOOL)}, BOOL)
_LOGIC = OperatorRule(_on_same(("bool",), BOOL), BOOL)
_STRING_TEST = OperatorRule(_on_same(("string",), BOOL), BOOL)
_FLOAT_RESULT = OperatorRule(_on_numbers(FLOAT, FLOAT), FLOAT)
_ON_DURATIONS = _on_same(("duration",), DURATION)
OPERATOR_RULES: dict[str, OperatorRule] = {
    "+": OperatorRule(
        {
            **_on_numbers(INT, FLOAT),
            **_ON_DURATIONS,
            ("string", "string"): STRING,
            ("time", "duration"): TIME,
            ("duration", "time"): TIME,
        },
        ANY,
    ),
    "-": OperatorRule(
        {
            **_on_numbers(INT, FLOAT),
            **_ON_DURATIONS,
            ("time", "time"): DURATION,
            ("time", "duration"): TIME,
        },
        ANY,
    ),
    "*": OperatorRule(
        {
            **_on_numbers(INT, FLOAT),
            **_ON_DURATIONS,
            **{("duration", number): DURATION for number in _NUMBERS},
            **{(number, "duration"): DURATION for number in _NUMBERS},
        },
        ANY,
    ),
    "/": _FLOAT_RESULT,
    "**": _FLOAT_RESULT,
    "^": _FLOAT_RESULT,
    "%": OperatorRule(_on_same(("int",), INT), ANY),
    "..": OperatorRule(_on_same(("int",), list_of(INT)), list_of(INT)),
    **dict.fromkeys(("<", "<=", ">", ">="), _ORDER),
    **dict.fromkeys(("and", "&&", "or", "||"), _LOGIC),
    **dict.fromkeys(("contains", "startsWith", "endsWith", "matches"), _STRING_TEST),
}


def _may_be_equal(left: Type, right: Type) -> bool:
    return (
        {"any", "nil"} & {left.name, right.name} != set()
        or {left.name, right.name} <= _COMPARABLE_AS_NUMBERS
        or (left.name == right.name != "function")
    )


def _equality(op: str, left: Type, right: Type) -> Type:
    if not _may_be_equal(left, right):
        raise LanguageError(f"{op} cannot compare {left} and {right}")
    return BOOL


def _membership(_: str, left: Type, right: Type) -> Type:
    """Accept items of the type of a list, and keys of a map."""
    is_accepted: dict[str, bool] = {
        "any": True,
        "array": left is NIL or _may_be_equal(left, right.item),
        "map": left in (NIL, ANY, STRING),
        "string": left is ANY,
    }
    if not is_accepted.get(right.name):
        raise LanguageError(f"in does not take {left} and {right}")
    return BOOL


def _coalescing(_: str, left: Type, right: Type) -> Type:
    if left is NIL:
        return right
    return left if right in (NIL, left) else ANY


_SPECIAL_RULES: dict[str, Callable[[str, Type, Type], Type]] = {
    "==": _equality,
    "!=": _equality,
    "in": _membership,
    "??": _coalescing,
}


def type_of_binary(op: str, left: Type, right: Type) -> Type:
    """Return the type of an operator's result. Raises LanguageError for operands that it never takes."""
    rule = _SPECIAL_RULES.get(op) or OPERATOR_RULES[op].result_type
    return rule(op, left, right)


def type_of_unary(op: str, operand: Type) -> Type:
    """Return the type of an operator's result. Raises LanguageError for an operand that it never takes."""
    if op in {"!", "not"}:
        is_accepted, result = operand in (BOOL, ANY), BOOL
    else:
        is_accepted, result = operand in (INT, FLOAT, ANY), operand
    if not is_accepted:
        raise LanguageError(f"{op} does not take {operand}")
    return result


def union(one: Type, two: Type) -> Type:
    """Return the type of a value that has one of two types. Nil is ignored, as in expr."""
    if NIL in (one, two):
        return two if one is NIL else one
    return one if one == two else ANY


_FINDS = frozenset({"find", "findLast", "findIndex", "findLastIndex"})
_WITH_BOOL_PREDICATE = _FINDS | {"all", "any", "none", "one", "filter", "count"}
WITH_INDEX = frozenset({"map", "reduce"})
"""The functions whose predicates may use `#index`."""


def type_of_predicate_call(name: str, items: Type, predicate: Type | None) -> Type:
    """Return the type of a call, given the types of the list and of the predicate's result.

    Raises LanguageError for a predicate whose result is never accepted.
    """
    if predicate is NIL or predicate is FUNCTION:
        raise LanguageError(f"the predicate of {name} cannot return {predicate}")
    if name in _WITH_BOOL_PREDICATE and predicate not in (BOOL, ANY, None):
        raise LanguageError(f"the predicate of {name} must return bool, not {predicate}")
    results: dict[str, Type] = {
        "filter": list_of(items.item),
        "find": items.item,
        "findLast": items.item,
        "map": list_of(predicate or ANY),
        "sum": predicate or items.item,
        "groupBy": ANY,
        "sortBy": items if items.name == "array" else LIST,
        "reduce": predicate or ANY,
        **dict.fromkeys(("findIndex", "findLastIndex", "count"), INT),
    }
    return results.get(name, BOOL)
