"""Any text yields a value or an ExpressionError, and never another exception."""

import math
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.expr.hosts import HOST
from tork_celery.expr import (
    ExpressionError,
    check,
    check_template,
    evaluate,
    evaluate_whole,
    render,
    to_text,
    type_name,
)
from tork_celery.expr.builtins import FUNCTIONS
from tork_celery.expr.builtins.methods import METHODS
from tork_celery.expr.builtins.predicates import PREDICATE_FUNCTIONS
from tork_celery.expr.syntax.precedence import INFIX, PREFIX

_SETTINGS = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
_NAMES = ("inputs", "xs", "n", "f", "s", "t", "z", "at", "nowhere", "$env")

_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=3),
    st.just(datetime(2024, 2, 29, tzinfo=UTC)),
    st.sampled_from(["", "a", "1h", "2024-01-01", "UTC", "[1]", "\ud800", "aGk="]),
)
_values = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.tuples(inner, inner),
        st.sets(st.integers(), max_size=2),
    ),
    max_leaves=8,
)
_contexts = st.dictionaries(st.sampled_from(_NAMES), _values, max_size=6)

_tokens = st.sampled_from(
    [
        *_NAMES,
        *FUNCTIONS,
        *PREDICATE_FUNCTIONS,
        *INFIX,
        *PREFIX,
        *(name for methods in METHODS.values() for name in methods),
        *"()[]{},.:;?#=|&'\"`\\",
        *(
            "?.",
            "::",
            "#acc",
            "#index",
            ".a",
            "let",
            "if",
            "else",
            "1",
            "0",
            "-1",
            "1.5",
            "0x1F",
            "'a'",
            '"b"',
        ),
        *("true", "false", "nil", "{{", "}}", "//", "/*", "*/", "__class__", "\n", "9223372036854775807"),
    ],
)
_token_lists = st.lists(_tokens, max_size=25).map(" ".join)
_texts = st.text(max_size=60)


def _combine(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    two = st.tuples(inner, inner)
    return st.one_of(
        st.tuples(inner, st.sampled_from([op for op in INFIX if op != "|"]), inner).map(" ".join),
        st.tuples(st.sampled_from(list(PREFIX)), inner).map(lambda p: f"{p[0]} ({p[1]})"),
        st.tuples(st.sampled_from(list(FUNCTIONS)), st.lists(inner, max_size=3)).map(
            lambda p: f"{p[0]}({', '.join(p[1])})",
        ),
        st.tuples(st.sampled_from(list(PREDICATE_FUNCTIONS)), inner, inner).map(
            lambda p: f"{p[0]}({p[1]}, {p[2]})"
        ),
        st.tuples(inner, st.sampled_from(list(FUNCTIONS))).map(lambda p: f"({p[0]}) | {p[1]}()"),
        st.tuples(
            inner,
            st.sampled_from([*METHODS["time"], *METHODS["duration"]]),
            st.lists(inner, max_size=2),
        ).map(lambda p: f"({p[0]}).{p[1]}({', '.join(p[2])})"),
        two.map(lambda p: f"({p[0]})[{p[1]}]"),
        two.map(lambda p: f"({p[0]})[{p[1]}:]"),
        two.map(lambda p: f"[{p[0]}, {p[1]}]"),
        two.map(lambda p: f"{{a: {p[0]}, (string({p[1]})): 1}}"),
        st.tuples(inner, inner, inner).map(lambda p: f"({p[0]}) ? {p[1]} : {p[2]}"),
        two.map(lambda p: f"(let v = {p[0]}; {p[1]})"),
        inner.map(lambda text: f"({text})?.a.b"),
        inner.map(lambda text: f"({text})"),
    )


_leaves = st.sampled_from(
    [
        *_NAMES,
        *("#", ".a", "#index", "#acc", "v"),
        *("nil", "true", "0", "1", "-1", "2.5", "''", "'a'", "'1h'", "'2024-01-01'", "'UTC'", "'[1, 2]'"),
        *(
            "[]",
            "[3, 1, 2]",
            "['a', 'b']",
            "{}",
            "{a: 1}",
            "1..3",
            "now()",
            "duration('1h')",
            "timezone('UTC')",
        ),
    ],
)
_expressions = st.recursive(_leaves, _combine, max_leaves=8)


def _visit(value: Any) -> None:
    """Visit all items of a value, which must not be cyclic."""
    name = type_name(value)
    if name in {"array", "map"}:
        for item in value.values() if name == "map" else value:
            _visit(item)


def _evaluate(source: str, context: dict[str, Any]) -> None:
    with suppress(ExpressionError):
        value = evaluate(source, context, HOST)
        _visit(value)
        to_text(value)


@_SETTINGS
@given(_texts, _contexts)
def test_arbitrary_text_yields_a_value_or_an_error(source: str, context: dict[str, Any]) -> None:
    _evaluate(source, context)


@_SETTINGS
@given(_token_lists, _contexts)
def test_arbitrary_tokens_yield_a_value_or_an_error(source: str, context: dict[str, Any]) -> None:
    _evaluate(source, context)


@_SETTINGS
@given(_expressions, _contexts)
def test_arbitrary_expressions_yield_a_value_or_an_error(source: str, context: dict[str, Any]) -> None:
    _evaluate(source, context)


@_SETTINGS
@given(_expressions)
def test_check_accepts_what_evaluates_in_some_context(source: str) -> None:
    context = {"inputs": {"a": 1}, "xs": [1], "n": 1, "f": 1.5, "s": "a", "t": True, "z": None}
    try:
        evaluate(source, context, HOST)
    except ExpressionError:
        return
    check(source)


@_SETTINGS
@given(
    st.one_of(
        _texts,
        _token_lists,
        st.tuples(_texts, _expressions, _texts).map(lambda p: f"{p[0]}{{{{{p[1]}}}}}{p[2]}"),
    )
)
def test_arbitrary_templates_yield_text_or_an_error(template: str) -> None:
    context = {"xs": [1], "s": "a"}
    for use in (
        check_template,
        lambda text: render(text, context, HOST),
        lambda text: evaluate_whole(text, context, HOST),
    ):
        with suppress(ExpressionError):
            use(template)


@_SETTINGS
@given(st.text(max_size=40).filter(lambda text: "{{" not in text))
def test_text_without_braces_is_unchanged(text: str) -> None:
    assert render(text, {}, HOST) == text


@_SETTINGS
@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_integers_wrap_around_at_64_bits(left: int, right: int) -> None:
    for op, exact in (("+", left + right), ("-", left - right), ("*", left * right)):
        value = evaluate(f"a {op} b", {"a": left, "b": right}, HOST)
        assert isinstance(value, int)
        assert -(2**63) <= value < 2**63
        assert (value - exact) % 2**64 == 0


@_SETTINGS
@given(st.floats(), st.floats())
def test_arithmetic_on_floats_never_fails(left: float, right: float) -> None:
    for op in ("+", "-", "*", "/", "**"):
        assert isinstance(evaluate(f"a {op} b", {"a": left, "b": right}, HOST), float)


@_SETTINGS
@given(st.lists(st.one_of(st.integers(-9, 9), st.floats(allow_nan=False, allow_infinity=False)), max_size=9))
def test_sort_count_and_sum_of_numbers(numbers: list[float]) -> None:
    context = {"ns": numbers}
    assert evaluate("sort(ns)", context, HOST) == sorted(numbers)
    assert evaluate("count(ns, # > 0)", context, HOST) == len([number for number in numbers if number > 0])
    total = evaluate("sum(ns)", context, HOST)
    assert isinstance(total, int | float)
    assert math.isclose(total, sum(numbers), rel_tol=1e-6, abs_tol=1e-6)
