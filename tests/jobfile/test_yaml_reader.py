"""The YAML reader follows the core schema of YAML 1.2, within bounds."""

import math
from typing import Any

import pytest

from tork_celery.domain.errors import Fault, InvalidInput
from tork_celery.jobfile.decode import read
from tork_celery.jobfile.source import Scalar, plain_values

DEPTH = 32


def value_of(text: str) -> Any:
    return plain_values(read(text.encode(), "text/yaml").value)


def faults_of(body: str | bytes) -> tuple[Fault, ...]:
    with pytest.raises(InvalidInput) as caught:
        read(body.encode() if isinstance(body, str) else body, "text/yaml")
    return caught.value.faults


def fault_of(body: str | bytes) -> Fault:
    (fault,) = faults_of(body)
    return fault


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((text, True) for text in ("true", "True", "TRUE")),
        *((text, False) for text in ("false", "False", "FALSE")),
        *((text, None) for text in ("null", "Null", "NULL", "~", "")),
        *((text, text) for text in ("yes", "no", "on", "off", "Yes", "NO", "y", "n", "tRue")),
        *((text, text) for text in ("1:30", "2024-01-01", "2024-01-01T00:00:00Z", "=", "1_000", "0b1")),
        *((text, text) for text in ("-", "+", ".", "0x", "0o8", "-0x1", "1.2.3", "e3", "\u0661")),
        ("12", 12),
        ("-3", -3),
        ("+3", 3),
        ("010", 10),
        ("0x1F", 31),
        ("0o17", 15),
        ("1.5", 1.5),
        ("-.5e-1", -0.05),
        ("1.", 1.0),
        ("1e3", 1000.0),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("9" * 64, int("9" * 64)),
        ("9" * 65, float("9" * 65)),
        ("9" * 5000, math.inf),
        ("0x" + "f" * 5000, math.inf),
        ('"true"', "true"),
        ("'1'", "1"),
        ("!!str 1", "1"),
        ("! 1", "1"),
        ("!!int '1'", 1),
        ("!!float 1", 1.0),
        ("!!null ''", None),
    ],
)
def test_scalars_follow_the_core_schema(text: str, expected: object) -> None:
    value = value_of(f"a: {text}\n" if text != "-" else "a: '-'\n")["a"]
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    "text", ["12", "-3", "+3", "010", "0x1F", "1.50", "1.", "1e3", ".NaN", "True", "FALSE"]
)
def test_written_text_of_numbers_and_booleans_is_kept(text: str) -> None:
    scalar = read(f"a: {text}".encode(), "text/yaml").value["a"]

    assert isinstance(scalar, Scalar)
    assert scalar.text == text


def test_keys_are_taken_as_written() -> None:
    assert value_of("{1: a, 012: b, 1.50: c, true: d, yes: e, !!int 2: f}") == {
        "1": "a",
        "012": "b",
        "1.50": "c",
        "true": "d",
        "yes": "e",
        "2": "f",
    }


def test_nan_is_read_as_a_float() -> None:
    assert math.isnan(value_of("a: .nan")["a"])


def test_document_markers_and_byte_order_mark_are_accepted() -> None:
    assert value_of("\ufeff%YAML 1.2\n---\na: b\n...\n") == {"a": "b"}


def test_aliases_and_merge_keys_are_expanded() -> None:
    text = """\
base: &base {image: a, env: &env {A: "1"}}
other: &other {image: b, run: c}
list: [*env, *env]
one: {<<: *base, image: own}
two: {<<: [*base, *other]}
quoted: {"<<": *env}
name: &name hello
*name : x
"""
    value = value_of(text)
    assert value["list"] == [{"A": "1"}, {"A": "1"}]
    assert value["one"] == {"image": "own", "env": {"A": "1"}}
    assert value["two"] == {"image": "a", "env": {"A": "1"}, "run": "c"}
    assert value["quoted"] == {"<<": {"A": "1"}}
    assert value["hello"] == "x"


def test_33_levels_are_refused() -> None:
    value_of("[" * DEPTH + "]" * DEPTH)
    assert fault_of("[" * (DEPTH + 1) + "]" * (DEPTH + 1)).message == "nested deeper than 32 levels"


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 100_000, "{a: " * 100_000, "? " * 100_000])
def test_extreme_depth_is_refused_without_recursion(text: str) -> None:
    assert fault_of(text).message == "nested deeper than 32 levels"


def test_expanded_aliases_count_toward_the_depth() -> None:
    text = "a: &a " + "[" * 20 + "]" * 20 + "\nb: {open}*a{close}"
    value_of(text.format(open="[" * 11, close="]" * 11))
    fault = fault_of(text.format(open="[" * 12, close="]" * 12))
    assert (fault.message, fault.line) == ("nested deeper than 32 levels", 2)


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


def test_alias_bomb_is_refused_at_the_alias_that_exceeds_the_limit() -> None:
    fault = fault_of(bomb(20))
    assert fault.message == "the document is too large with its aliases expanded"
    assert fault.line == 7


def test_alias_bomb_of_a_long_text_is_refused() -> None:
    text = f"a: &a {'x' * 100_000}\nb: [{'*a,' * 1000}]"
    assert fault_of(text).message == "the document is too large with its aliases expanded"


def test_alias_bomb_of_merge_keys_is_refused() -> None:
    text = "a: &a {" + ",".join(f"k{n}: " for n in range(1000)) + "}\nb: [" + "{<<: *a}," * 10_000 + "]"
    assert fault_of(text).message == "the document is too large with its aliases expanded"


NOT_UTF8 = "the body is not UTF-8 text"


@pytest.mark.parametrize(
    ("body", "path", "message", "line", "column"),
    [
        ("a: 1\na: 2", "a", "duplicate key, first in line 1, column 1", 2, 1),
        ("a:\n - {b: 1, b: 2}", "a[0].b", "duplicate key, first in line 2, column 5", 2, 11),
        ("a: &a {x: 1}\nb:\n  <<: *a\n  <<: *a", 'b["<<"]', "duplicate key", 4, 3),
        ("1: a\n'1': b", "1", "duplicate key, first in line 1, column 1", 2, 1),
        ("~: x", "null", "a key must be a string, not null; write it in quotes", 1, 1),
        ("[a]: x", '["?"]', "a key must be a string, not a list", 1, 1),
        ("{a: b}: x", '["?"]', "a key must be a string, not a mapping", 1, 1),
        ("a: {<<: x}", 'a["<<"]', "`<<` takes a mapping or a list of mappings", 1, 9),
        ("a: {<<: [{}, 1]}", 'a["<<"]', "`<<` takes a mapping or a list of mappings", 1, 9),
        ("a: &a [*a]", "a[0]", "the alias 'a' is inside the value that it refers to", 1, 8),
        ("a: &a {b: {<<: *a}}", 'a.b["<<"]', "the alias 'a' is inside the value that it refers to", 1, 16),
        ("a: *b", "a", "no anchor 'b' before this alias", 1, 4),
        ("a: !!python/name:os.system x", "a", "a tag is not allowed here; remove it", 1, 4),
        ("a: !foo [x]", "a", "a tag is not allowed here; remove it", 1, 4),
        ("a: !!set {x}", "a", "a tag is not allowed here; remove it", 1, 4),
        ("a: !!binary aGk=", "a", "a tag is not allowed here; remove it", 1, 4),
        ("a: !!int x", "a", "the value does not match its tag", 1, 4),
        ("%TAG !e! tag:e,2000:\n---\na: b", "", "a %TAG directive is not allowed", 1, 5),
        ("a: b\n---\na: b", "", "a second document starts here; only one is allowed", 2, 1),
        ("a: b: c", "", "not valid YAML: mapping values are not allowed in this context", 1, 5),
        ("é: é\nb: é\x01", "", "not valid YAML: the character U+0001 is not allowed", 2, 5),
        (b"a: b\nc: \xc3\xa9\xff", "", NOT_UTF8, 2, 5),
        (b"\xff\xfea\x00", "", NOT_UTF8, 1, 1),
        (b"\xef\xbb\xbf\xed\xa0\x80", "", NOT_UTF8, 1, 1),
        ("", "", "the body is empty; expected a job or a task", None, None),
        (" \n\t\n", "", "the body is empty; expected a job or a task", None, None),
        ("# nothing\n", "", "the document is empty; expected a job or a task", None, None),
        ("---\n", "", "the document is empty; expected a job or a task", None, None),
    ],
)
def test_invalid_text_is_refused_with_its_position(
    body: str | bytes, path: str, message: str, line: int | None, column: int | None
) -> None:
    assert fault_of(body) == Fault(path, message, line, column)


def test_syntax_error_names_its_context() -> None:
    fault = fault_of("a:\n  - b\n c: d\n")
    assert fault == Fault(
        "",
        "not valid YAML: did not find expected key (while parsing a block mapping that starts in line 1)",
        3,
        2,
    )


def test_at_most_20_duplicate_keys_are_listed() -> None:
    assert [fault.line for fault in faults_of("a: 1\nb: 1\na: 2\nb: 2\n")] == [3, 4]
    assert len(faults_of("a: 1\n" * 1000)) == 20
