"""Expressions cannot access Python objects or exceed the limits, and fail only with an ExpressionError."""

import pickle
from contextlib import suppress
from typing import Any, NoReturn

import pytest

from tests.expr.hosts import HOST
from tork_celery.expr import Budget, ExpressionError, check, check_template, evaluate, limits, render


class _Untouchable:
    """Any access to this object fails the test."""

    def __getattr__(self, name: str) -> object:
        pytest.fail(f"{name} was accessed")

    def _forbidden(self, *_: object) -> NoReturn:
        pytest.fail("a special method was called")

    __str__ = __repr__ = __len__ = __iter__ = __bool__ = __add__ = __lt__ = __eq__ = _forbidden

    def __hash__(self) -> int:
        return int(self._forbidden())


def _cyclic() -> list[object]:
    items: list[object] = []
    items.append(items)
    return items


def _repeated() -> list[object]:
    """Return a list that is small in memory but has 2 ** 61 items when it is flattened."""
    items: list[object] = [1, 2]
    for _ in range(60):
        items = [items, items]
    return items


_CONTEXT: dict[str, Any] = {
    "o": _Untouchable(),
    "os": [_Untouchable()],
    "s": "x" * 1_000_000,
    "cyclic": _cyclic(),
    "loop": {},
    "repeated": _repeated(),
    "big": 10**5000,
    "odd": {1: 2, None: 3, (1, 2): 4, "k": {5}},
    "surrogate": "\ud800x",
}
_CONTEXT["loop"]["loop"] = _CONTEXT["loop"]


@pytest.mark.parametrize(
    "source",
    [
        "o.__class__",
        "o.anything",
        "o.call()",
        "o[0]",
        "string(o)",
        "toJSON(os)",
        "o + 1",
        "o < o",
        "len(o)",
        "os == [1]",
        "os == os",
        "uniq(concat(os, os))",
        "1 in os",
        "o in odd",
        "groupBy(os, #)",
        "sort(concat(os, os))",
        "'a'.__class__",
        "(1).real",
        "now().__reduce__()",
        "duration('1s').nanoseconds",
        "odd.k.add",
    ],
)
def test_python_objects_are_not_accessed(source: str) -> None:
    with suppress(ExpressionError):
        evaluate(source, _CONTEXT, HOST)


@pytest.mark.parametrize(
    "source",
    [
        "1..1000000000",
        "sequence(0, 9223372036854775807)",
        "repeat('a', 9223372036854775807)",
        "repeat(s, 2)",
        "s + s",
        "replace(s, '', s)",
        "join(map(1..3, s))",
        "join(map(1..9, 'a'), s)",
        "map(1..1000, map(1..1000, map(1..1000, #)))",
        "reduce(1..60, #acc + #acc, 'ab')",
        "reduce(1..60, [#acc, #acc], [1])",
        "reduce(1..60, concat(#acc, #acc), [1])",
        "map(1..100000, s contains 'y')",
        "map(1..100, s matches 'y')",
        "s matches '(x|y)*x(x|y){900}z'",
        "flatten(repeated)",
        "repeated == repeated",
        "toJSON(repeated)",
        "string(repeated)",
        "max(repeated)",
        "repeated",
        "flatten(cyclic)",
        "cyclic == cyclic",
        "toJSON(loop)",
        "string(cyclic)",
        "median(cyclic)",
        "uniq([cyclic, cyclic])",
        "cyclic",
        "$env",
        "fromJSON(repeat('[', 100000))",
        "date('1', '" + "2" * 150 + "')",
        "now().Format(repeat('2006', 1000))",
        "string(big)",
        "big * 1.5",
        "toJSON(big)",
        "fromJSON('1e999')",
        "duration('1h') * (1 / 0)",
        "duration('1h') * (0 / 0)",
    ],
)
def test_excessive_sizes_and_steps_are_rejected(source: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(source, _CONTEXT, HOST)


@pytest.mark.parametrize(
    "source",
    [
        "1" * 1_000_000,
        "(" * 10_000 + "1" + ")" * 10_000 + "+",
        "[" * 20_000,
        "-" * 20_000 + "1",
        "not " * 5_000 + "true",
        "+".join(["1"] * 10_000),
        "**".join(["1"] * 5_000),
        "x" + ".a" * 10_000,
        "x" + "[0]" * 5_000,
        "true?1:" * 3_000 + "1",
        "{a:" * 5_000,
        "len(" * 5_000,
        "1" + "|abs()" * 4_000,
        "".join(f"let a{i}=1;" for i in range(2_000)) + "1",
        "[" + "1," * 12_000 + "]",
        '"' * 30_001,
        "/*" * 10_000,
        "9" * 30_000,
    ],
)
def test_sources_that_are_too_long_or_too_deep_are_rejected(source: str) -> None:
    with pytest.raises(ExpressionError):
        check(source)


def test_nesting_below_the_limit_is_evaluated() -> None:
    assert evaluate("(" * 5_000 + "1" + ")" * 5_000, {}, HOST) == 1
    assert evaluate("+".join(["1"] * 140), {}, HOST) == 140
    assert evaluate("len(" + "[" * 90 + "1" + "]" * 90 + ")", {}, HOST) == 1


@pytest.mark.parametrize("source", ["\x00", "\x1c1", "\ud800", "1 \x7f", "\ufeff1"])
def test_unexpected_characters_are_rejected(source: str) -> None:
    with pytest.raises(ExpressionError):
        check(source)


@pytest.mark.parametrize(
    "source", ["surrogate + 'a'", "toBase64(surrogate)", "surrogate[0:2]", "len(surrogate)"]
)
def test_unpaired_surrogates_are_accepted(source: str) -> None:
    evaluate(source, _CONTEXT, HOST)
    assert isinstance(evaluate("surrogate matches 'x'", _CONTEXT, HOST), bool)


@pytest.mark.parametrize(
    "template", ["{{" * 100_000, "{" * 5_000_000, "{{1}}" * 3_000, "{{ '" + "'" * 40_000]
)
def test_templates_that_exceed_the_limits_are_rejected(template: str) -> None:
    with pytest.raises(ExpressionError):
        check_template(template)
    with pytest.raises(ExpressionError):
        render(template, {}, HOST)


def test_error_has_a_place_and_a_reason() -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate("1 +\n  nowhere", {}, HOST)
    error = caught.value
    assert (error.line, error.column, error.reason) == (2, 3, "unknown name nowhere")
    assert str(error) == "unknown name nowhere (line 2, column 3 of the expression `1 +   nowhere`)"
    assert isinstance(error, ValueError)


def test_error_quotes_only_a_part_of_a_long_expression() -> None:
    with pytest.raises(ExpressionError) as caught:
        check("1, " * 3_000)
    assert len(str(caught.value)) < 300


def test_error_can_be_pickled() -> None:
    with pytest.raises(ExpressionError) as caught:
        check("1 +")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.offset, copy.source) == (str(caught.value), 3, "1 +")


@pytest.mark.parametrize(
    "source", ["int(token)", "token.x", "token + 1", "xs[token]", "timezone(token)", "date(token)"]
)
def test_error_does_not_contain_values(source: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate(source, {"token": "s3cr3t", "xs": [1]}, HOST)
    assert "s3cr3t" not in str(caught.value)


def test_access_to_an_item_of_a_long_list_takes_one_step() -> None:
    context = {"xs": list(range(10_000))}
    assert (
        evaluate("sum(map(0..9999, get(xs, #) + first(xs) + len(xs) + xs[#]))", context, HOST) == 199_990_000
    )


@pytest.mark.parametrize(
    "source", ["a == b", "a < b", "m.a[0] == 0", "a contains 'y'", "a startsWith b", "len(a[1:]) > 0"]
)
def test_reading_long_texts_counts_steps(source: str) -> None:
    text = "é" * 900_000
    context = {"a": text, "b": "".join(["é"] * 900_000), "m": {"a": text}}
    with pytest.raises(ExpressionError, match="too many steps"):
        evaluate(f"count(1..100000, {source})", context, HOST)


def steps_of(template: str) -> int:
    budget = Budget(limits.STEPS)
    render(template, _CONTEXT, HOST, budget=budget)
    return limits.STEPS - budget.left


def test_text_that_a_template_copies_counts_as_steps() -> None:
    assert steps_of("{{ s }}{{ s }}") >= 2 * len(_CONTEXT["s"]) >> 4


def test_value_that_a_template_writes_as_json_counts_as_steps() -> None:
    steps_of("{{ [s[0:100000]] }}")
    compiled = steps_of("{{ [s[0:100000]] }}")

    assert compiled >= 2 * 100_000 >> 4, "once as a value, once as a text"


def test_expressions_of_a_template_share_the_steps() -> None:
    with pytest.raises(ExpressionError, match="the expression takes too many steps"):
        render("{{ len(map(1..100000, # * 2)) }}" * 10, _CONTEXT, HOST)


@pytest.mark.parametrize("source", ["1", "inputs.a", "1 + 1"])
def test_each_node_counts_as_a_step(source: str) -> None:
    with pytest.raises(ExpressionError, match="the expression takes too many steps"):
        evaluate(source, {"inputs": {"a": 1}}, HOST, budget=Budget(0))


def test_long_expression_counts_its_compilation() -> None:
    """An expression that is too long for the cache is compiled for each evaluation."""
    source = "[" + ",".join(["1"] * 2_000) + "]"
    assert len(source) > limits.CACHED_CHARS
    for _ in range(2):
        budget = Budget(limits.STEPS)
        evaluate(source, {}, HOST, budget=budget)
        assert limits.STEPS - budget.left > 10 * 2_000
