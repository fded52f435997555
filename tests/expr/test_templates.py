"""Templates, and fields that are one expression."""

import math

import pytest

from tests.expr.hosts import HOST
from tork_celery.expr import ExpressionError, check_template, check_whole, evaluate_whole, render, to_text

_CONTEXT = {"name": "World", "n": 3, "xs": [1, 2.5, "a"], "m": {"b": None, "a": "<ü>"}}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("", ""),
        ("plain {text} }} with $braces", "plain {text} }} with $braces"),
        ("Hello, {{ name }}!", "Hello, World!"),
        ("{{name}}{{n}}", "World3"),
        ("{{ name }} {{ name }}", "World World"),
        ('{{ "}}" }}', "}}"),
        ("{{ '{{' }}", "{{"),
        ('{{ `}}` + "\'" }}', "}}'"),
        ("{{ {a: {b: n}}.a.b }}", "3"),
        ("{{ {a: {b: n}} }}", '{"a":{"b":3}}'),
        ("{{ map(xs, {#}) }}", '[1,2.5,"a"]'),
        ("{{ n // three }}", "3"),
        ("{{ n /* }} */ }}", "3"),
        ("{{ m }}", '{"a":"<ü>","b":null}'),
        ("{{ m.b }}|{{ nil }}", "|"),
        ("{{ true }} {{ 8.0 }} {{ 2.5 }} {{ 1000000.0 }} {{ 1 / 0 }}", "true 8 2.5 1e+06 +Inf"),
        ("{{\nn\n+ 1 }}", "4"),
    ],
)
def test_expressions_are_replaced_by_their_values(template: str, text: str) -> None:
    check_template(template)
    assert render(template, _CONTEXT, HOST) == text


@pytest.mark.parametrize(
    "template", ["{{", "a {{ n", "{{ n }", "{{ '}}", "{{ }}", "{{ n + }}", "{{ { }}", "{{a}} {{"]
)
def test_unclosed_braces_and_invalid_expressions_are_rejected(template: str) -> None:
    with pytest.raises(ExpressionError):
        check_template(template)
    with pytest.raises(ExpressionError):
        render(template, _CONTEXT, HOST)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("n > 2", True),
        ("{{ n > 2 }}", True),
        ("  {{n > 2}}  ", True),
        ("{{ xs }}", [1, 2.5, "a"]),
        ("xs", [1, 2.5, "a"]),
        ("{a: 1}", {"a": 1}),
        ("{{ {a: {b: 1}} }}", {"a": {"b": 1}}),
        ("'{{ n }}'", "{{ n }}"),
        ("false", False),
    ],
)
def test_braces_around_a_single_expression_are_optional(text: str, value: object) -> None:
    check_whole(text)
    assert evaluate_whole(text, _CONTEXT, HOST) == value


@pytest.mark.parametrize("text", ["{{ n }} > 2", "{{ n }}{{ n }}", "{{ n", "", "{{}}"])
def test_fields_that_are_not_one_expression_are_rejected(text: str) -> None:
    with pytest.raises(ExpressionError):
        check_whole(text)
    with pytest.raises(ExpressionError):
        evaluate_whole(text, _CONTEXT, HOST)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("a", "a"),
        (False, "false"),
        (8, "8"),
        (8.0, "8"),
        (-0.0, "-0"),
        (123456789.0, "1.23456789e+08"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (math.nan, "NaN"),
        ([], "[]"),
        ((1, None), "[1,null]"),
        ({"k": [True, {"x": 1.5}]}, '{"k":[true,{"x":1.5}]}'),
    ],
)
def test_text_of_values(value: object, text: str) -> None:
    assert to_text(value) == text


def test_values_without_a_text_are_rejected() -> None:
    cyclic: list[object] = []
    cyclic.append(cyclic)
    for value in (object(), cyclic, [object()], [math.inf]):
        with pytest.raises(ExpressionError):
            to_text(value)
