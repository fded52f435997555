"""Functions and operators, beyond the cases of the reference."""

import math
from dataclasses import replace
from typing import Any

import pytest

from tests.expr.hosts import HOST
from tork_celery.expr import ExpressionError, evaluate

_CONTEXT: dict[str, Any] = {
    "xs": [3, 1, 2],
    "users": [{"name": "Ann", "age": 30}, {"name": "Bob", "age": 20}, {"name": "Cy", "age": 30}],
    "m": {"n": 2, "f": 2.5, "s": "text", "list": [1, [2, [3]]]},
    "none": None,
}


def _is_same(value: object, expected: object) -> bool:
    if isinstance(expected, float) and math.isnan(expected):
        return isinstance(value, float) and math.isnan(value)
    return type(value) is type(expected) and value == expected


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ('trim("__a__", "_")', "a"),
        ('trimPrefix(" a")', "a"),
        ('trimSuffix("a ")', "a"),
        ('upper("straße")', "STRAßE"),
        ('splitAfter("a,b,c", ",", 2)', ["a,", "b,c"]),
        ('split("abc", "", 2)', ["a", "bc"]),
        ('replace("aaa", "a", "b", m.n)', "bba"),
        ('repeat("ab", fromJSON("2"))', "abab"),
        ('join(["a", "b"])', "ab"),
        ('int("-12")', -12),
        ('int("9223372036854775807")', 2**63 - 1),
        ("int(1e300)", -(2**63)),
        ('float("1e3")', 1000.0),
        ('float("+Inf")', math.inf),
        ("round(-2.5)", -3.0),
        ("round(0.49999999999999994)", 0.0),
        ("ceil(-0.5)", -0.0),
        ("abs(-3)", 3),
        ("max(1, 2.5, [7, 3])", 7),
        ("min(xs)", 1),
        ("min(m.s)", "text"),
        ("mean([])", 0.0),
        ("median([4, 1, 3, 2])", 2.5),
        ("sum(users, .age)", 80),
        ("sum(xs, # / 2)", 3.0),
        ("reduce(xs, #acc * 10 + #)", 312),
        ("reduce(1..3, #acc + string(#index), '')", "012"),
        ("groupBy(users, .age) | keys()", [30, 20]),
        ("len(groupBy(users, .age)[30])", 2),
        ("sortBy(users, .name, 'desc')[0].name", "Cy"),
        ("sortBy(users, .age) | map(.name)", ["Bob", "Ann", "Cy"]),
        ("sort(xs, 'desc')", [3, 2, 1]),
        ("sort([])", []),
        ("uniq([1, 1.0, true, '1', [1], [1], nil, nil])", [1, True, "1", [1], None]),
        ("flatten(m.list)", [1, 2, 3]),
        ("concat(xs, [4], [])", [3, 1, 2, 4]),
        ("take(xs, 2)", [3, 1]),
        ("first([])", None),
        ("last(m.list)", [2, [3]]),
        ("get(m, 'nowhere')", None),
        ("get(xs, -1)", 2),
        ("toPairs({a: 1}) | fromPairs()", {"a": 1}),
        ("values({a: 1, b: 2})", [1, 2]),
        ('fromJSON("{\\"a\\": [1]}").a[0]', 1.0),
        ("toJSON('<&>')", '"\\u003c\\u0026\\u003e"'),
        ("toJSON({b: 1e21, a: 1e-7, c: 8.0})", '{\n  "a": 1e-7,\n  "b": 1e+21,\n  "c": 8\n}'),
        ("string(1e-7) + string(8.0) + string(1e6)", "1e-0781e+06"),
        ("string({b: [nil, true], a: 'x'})", "map[a:x b:[<nil> true]]"),
        ("string(m.f)", "2.5"),
        ("type(none)", "nil"),
        ("type(timezone('UTC'))", "time.Location"),
        ("bitshl(1, 64)", 0),
        ("bitshl(1, 63)", -(2**63)),
        ("bitshr(-1, 100)", -1),
        ("bitushr(-1, 63)", 1),
        ("sequence(1, 4)", [1, 2, 3]),
        ("9223372036854775807 * 2", -2),
        ("-m.f", -2.5),
        ("0 / 0", math.nan),
        ("-8 ** 0.5", -(8**0.5)),
        ("(0 - 8) ** 0.5", math.nan),
        ("0 ** -1", math.inf),
        ("2 ** 10", 1024.0),
        ("10 ** 400", math.inf),
        ("m.n..4", [2, 3, 4]),
        ("none in {'': 1}", True),
        ("{a: [1, {b: 2}]} == {a: [1.0, {b: 2}]}", True),
        ("[1] == [true]", False),
        ("'abc' matches '^a.c$'", True),
        ("m.s matches '(?i)TEXT'", True),
        ("m.nowhere matches 'a'", False),
        ("true && m.n", 2),
        ("m.nowhere && false", False),
    ],
)
def test_values_of_functions_and_operators(source: str, value: object) -> None:
    assert _is_same(evaluate(source, _CONTEXT, HOST), value)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("1 % 0", "division by zero"),
        ("xs[3]", "out of range"),
        ("m.s.x", "an index must be int, not string"),
        ("m.n.x", "int has no items"),
        ("m.nowhere.x", "nil has no items"),
        ("m.s + 1", r"\+ does not take string and int"),
        ("m.n ? 1 : 2", "bool is required here, not int"),
        ("filter(m.n, true)", "filter takes array, not int"),
        ("upper(m.n)", "upper takes string here, not int"),
        ("trim()", "trim does not take 0 arguments"),
        ("repeat('a', -1)", "negative"),
        ("join(m.list)", "join takes strings, not int"),
        ("sum([m.s])", r"\+ does not take string and int"),
        ("sort([1, m.s])", "have no order"),
        ("sort(xs, 'up')", "asc or desc"),
        ("reduce([], #)", "empty list"),
        ("groupBy([[1]], #)", "cannot group by array"),
        ("fromPairs([[1, 2]])", "must be a string"),
        ("bitshl(1, -1)", "negative"),
        ("randomInt(0)", "above zero"),
        ("toJSON(1 / 0)", "infinite"),
        ("m.n()", "no method n"),
        ("xs matches 'a'", "array and string"),
        ("none matches 'a'", "nil and string"),
        ("'a' matches '(?=a)'", "RE2"),
        ("'a' matches m.s + '('", "RE2"),
        (r"'aa' matches '(a)\\1'", "RE2"),
    ],
)
def test_errors_name_the_reason(source: str, reason: str) -> None:
    with pytest.raises(ExpressionError, match=reason):
        evaluate(source, _CONTEXT, HOST)


def test_random_numbers_come_from_the_host() -> None:
    limits: list[int] = []

    def randbelow(limit: int) -> int:
        limits.append(limit)
        return 4

    assert evaluate("[randomInt(10), randomInt()]", {}, replace(HOST, randbelow=randbelow)) == [4, 4]
    assert limits == [10, 2**63 - 1]


def test_sorting_does_not_change_the_context() -> None:
    assert evaluate("xs | sort() | first()", _CONTEXT, HOST) == 1
    assert _CONTEXT["xs"] == [3, 1, 2]
