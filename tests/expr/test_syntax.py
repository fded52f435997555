"""Literals, precedence of operators, conditionals, variables and members."""

from dataclasses import replace
from typing import Any

import pytest

from tests.expr.hosts import HOST
from tork_celery.expr import ExpressionError, check, evaluate

_CONTEXT: dict[str, Any] = {
    "a": {"b": {"c": 5}, "in": 1, "xs": [1, 2, 3]},
    "xs": [3, 1, 2],
    "none": None,
    "yes": True,
    "s": "naïve",
}


def _value(source: str) -> object:
    value = evaluate(source, _CONTEXT, HOST)
    return (type(value), value)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("42", 42),
        ("1_000_000", 1_000_000),
        ("0x2A", 42),
        ("0XfF", 255),
        ("0o17", 15),
        ("0b1_01", 5),
        ("0123", 123),
        (".5", 0.5),
        ("1.", 1.0),
        ("1e3", 1000.0),
        ("1_0.5e+1", 105.0),
        ("9223372036854775807", 2**63 - 1),
        (r'"a\tb\n\\\""', 'a\tb\n\\"'),
        (r"'it\'s'", "it's"),
        (r'"\x41\u00e9\U0001F600\101\u{1F600}"', "Aé😀A😀"),
        (r'"\ud83d\ude00"', "😀"),
        ("`raw \\n`", "raw \\n"),
        ("`two\nlines`", "two\nlines"),
        ("`a``b`", "a`b"),
        ("``", ""),
        ("1 // to the end", 1),
        ("1 /* inside */ + /* and\nover lines */ 2", 3),
        ("[1, 2,]", [1, 2]),
        ('{a: 1, \'b c\': 2, 3: 4, ("d" + "e"): 5,}', {"a": 1, "b c": 2, "3": 4, "de": 5}),
        ("nil", None),
    ],
)
def test_values_of_literals(source: str, value: object) -> None:
    assert _value(source) == (type(value), value)


@pytest.mark.parametrize(
    "source",
    [
        "1x",
        "0x",
        "0b2",
        "1e",
        "1e400",
        "0x1.8",
        "9223372036854775808",
        r'"\q"',
        r'"\ud800"',
        '"a\nb"',
        r'"\400x"',
    ],
)
def test_malformed_literals_are_rejected(source: str) -> None:
    with pytest.raises(ExpressionError):
        check(source)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("1 + 2 * 3 - 4", 3),
        ("-2 ** 2", -4.0),
        ("2 ** -1", 0.5),
        ("2 ** 3 ** 2", 512.0),
        ("2 * -3 + 1", -5),
        ("not true or true", True),
        ("not (yes and false)", True),
        ("true or false and false", True),
        ("1 + 1 == 2 and 2 > 1", True),
        ("1 < 2 < 3", True),
        ("3 > 2 > 2", False),
        ("1..3 == [1, 2, 3]", True),
        ("1..1 + 2", [1, 2, 3]),
        ("1 + (none ?? 2)", 3),
        ("1 + none ?? 2", 3),
        ("none ?? none ?? 3", 3),
        ("2 not in xs", False),
        ("not (2 in xs)", False),
        ("'x' not contains 'y' and true", True),
        ("xs | map(# * 2) | sum() + 1", 13),
        ("7 % 4 * 2", 6),
        ("-7 % 3", -1),
    ],
)
def test_precedence(source: str, value: object) -> None:
    assert _value(source) == (type(value), value)


@pytest.mark.parametrize(
    "source", ["none ?? 1 + 2", "none ?? 1 == 1", "1 not == 2", "a not b", "1 +", "xs | sum"]
)
def test_incomplete_and_ambiguous_operations_are_rejected(source: str) -> None:
    with pytest.raises(ExpressionError):
        check(source)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("yes ? 1 : 2", 1),
        ("yes ? false ? 1 : 2 : 3", 2),
        ("false ? 1 : false ? 2 : 3", 3),
        ("yes ?: 2", True),
        ("false ?: 2", 2),
        ("if yes { 1 } else { 2 }", 1),
        ("if false { 1 } else if yes { 2; 3 } else { 4 }", 3),
        ("let x = 2; let y = x * 2; x + y", 6),
        ("(let x = 1; x) + (let x = 2; x)", 3),
        ("map(xs, {let y = # * 2; y + 1})", [7, 3, 5]),
        ("1; 2; 3;", 3),
        ("a?.b?.c", 5),
        ("a?.['b'].c", 5),
        ("a.missing?.x.y.z", None),
        ("a.missing?.x[0].y", None),
        ("a.in", 1),
        ("a['b']['c']", 5),
        ("$env.xs[0] + $env['a'].b.c", 8),
        ("'xs' in $env", True),
        ("$env?.nowhere", None),
        ("::len(xs)", 3),
        ("a.xs[-1]", 3),
        ("a.xs[1:]", [2, 3]),
        ("a.xs[-2:-1]", [2]),
        ("a.xs[5:9]", []),
        ("s[0:3]", "na\N{REPLACEMENT CHARACTER}"),
        ("s[0:4]", "naï"),
        ("len(s)", 5),
        ("indexOf(s, 'v')", 4),
    ],
)
def test_conditionals_variables_and_members(source: str, value: object) -> None:
    assert _value(source) == (type(value), value)


@pytest.mark.parametrize(
    "source",
    [
        "",
        "  ",
        "1 2",
        "[1",
        "(1",
        "{a",
        "f(1,,2)",
        "{,}",
        "#",
        ".x",
        "map(xs)",
        "filter(xs, #, 1)",
        "map(xs, {})",
        "map(xs, {a: #})",
        "map(xs, 1; 2)",
        "1 + if yes { 1 } else { 2 }",
        "if yes { 1 }",
        "let x = 1",
        "let x = 1; let x = 2; x",
        "let len = 1; len",
        "xs | sort()[0]",
        "true.x",
        "1.x",
        "nowhere(1)",
        "map(xs, #acc)",
        "filter(xs, #index > 0)",
        "in",
        "a & b",
        "a = b",
    ],
)
def test_invalid_expressions_are_rejected_without_a_context(source: str) -> None:
    with pytest.raises(ExpressionError):
        check(source)


def test_map_in_a_predicate_needs_its_own_braces() -> None:
    assert evaluate("map(1..2, {{n: #}})", {}, HOST) == [{"n": 1}, {"n": 2}]
    assert evaluate("map(1..2, ({n: #}))", {}, HOST) == [{"n": 1}, {"n": 2}]


def test_nested_predicates_have_separate_items() -> None:
    assert evaluate("map(1..2, {let n = #; map(1..2, # * n + #index)})", {}, HOST) == [[1, 3], [2, 5]]


def test_chained_comparison_evaluates_each_operand_once() -> None:
    numbers = iter([5, 100])
    assert evaluate("1 < randomInt(9) < 9", {}, replace(HOST, randbelow=lambda _: next(numbers))) is True


@pytest.mark.parametrize(
    "source", ["z == 1", "z", "xs.map", "'a' + 1", "1 == true", "xs in [1]", "upper(1)", "s[0]"]
)
def test_type_errors_are_found_in_branches_that_are_not_evaluated(source: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(f"false ? ({source}) : 1", {"xs": [1], "s": "a"}, HOST)


def test_cached_expression_is_checked_for_each_context() -> None:
    assert evaluate("x + 1", {"x": 1}, HOST) == 2
    with pytest.raises(ExpressionError, match=r"\+ does not take string and int"):
        evaluate("x + 1", {"x": "1"}, HOST)
    with pytest.raises(ExpressionError, match="unknown name x"):
        evaluate("x + 1", {}, HOST)
    assert evaluate("x + 1", {"x": 1.5}, HOST) == 2.5
