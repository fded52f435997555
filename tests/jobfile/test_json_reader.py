"""The JSON reader is strict and bounded."""

import math

import pytest

from tork_celery.domain.errors import Fault, InvalidInput
from tork_celery.jobfile import parse_job
from tork_celery.jobfile.decode import read
from tork_celery.jobfile.source import plain_values

JSON = "application/json"


def fault_of(body: str | bytes) -> Fault:
    with pytest.raises(InvalidInput) as caught:
        read(body.encode() if isinstance(body, str) else body, JSON)
    (fault,) = caught.value.faults
    return fault


def test_document_is_read_to_plain_values() -> None:
    text = '\ufeff {"a": [1, 2.5, true, null, "\\ud83d\\ude00[{"], "b": {}}\n'
    value = plain_values(read(text.encode(), JSON).value)
    assert value == {"a": [1, 2.5, True, None, "😀[{"], "b": {}}


def test_integers_of_more_than_64_digits_become_floats() -> None:
    value = plain_values(read(f"[{'9' * 64}, {'9' * 65}, -{'9' * 5000}]".encode(), JSON).value)
    assert value == [int("9" * 64), float("9" * 65), -math.inf]


@pytest.mark.parametrize(
    ("body", "path", "message", "line", "column"),
    [
        ('{"a": 1,\n "b" 2}', "", "not valid JSON: expecting ':' delimiter", 2, 6),
        ("{'a': 1}", "", "not valid JSON: expecting property name enclosed in double quotes", 1, 2),
        ('{"a": "b', "", "not valid JSON: unterminated string starting at", 1, 7),
        ('{"a": "\n"}', "", "not valid JSON: invalid control character at", 1, 8),
        ("{} {}", "", "not valid JSON: extra data", 1, 4),
        ("name: a", "", "not valid JSON: expecting value", 1, 1),
        ('{"a": NaN}', "", "not valid JSON: NaN is not a JSON number", None, None),
        ('{"a": -Infinity}', "", "not valid JSON: -Infinity is not a JSON number", None, None),
        ('{"a": [{"b": 1, "b": 2}]}', "a[0].b", "duplicate key", None, None),
        ('{"a": {"b": 1}, "a": 2}', "a", "duplicate key", None, None),
        (
            '{"a": ["\\ud800"]}',
            "a[0]",
            "unpaired surrogate in '\\ud800'",
            None,
            None,
        ),
        (
            '{"a": {"\\udfffx": 1}}',
            "a",
            "unpaired surrogate in '\\udfffx'",
            None,
            None,
        ),
        (b'{"a": "\xff"}', "", "the body is not UTF-8 text", 1, 8),
        ("", "", "the body is empty; expected a job or a task", None, None),
    ],
)
def test_invalid_text_is_refused_with_its_position(
    body: str | bytes, path: str, message: str, line: int | None, column: int | None
) -> None:
    assert fault_of(body) == Fault(path, message, line, column)


def test_33_levels_are_refused() -> None:
    read(b"[" * 32 + b"]" * 32, JSON)
    assert fault_of("\n" + "[" * 33 + "]" * 33) == Fault("", "nested deeper than 32 levels", 2, 33)


@pytest.mark.parametrize("text", ["[" * 500_000, '{"a":' * 100_000])
def test_extreme_depth_is_refused_without_recursion(text: str) -> None:
    assert fault_of(text).message == "nested deeper than 32 levels"


def test_brackets_in_strings_do_not_count_as_levels() -> None:
    assert read(b'"' + b'[\\"' * 1000 + b'"', JSON).value == '["' * 1000


def test_unterminated_string_of_escapes_is_refused() -> None:
    assert fault_of('"' + '\\"' * 200_000).message.startswith("not valid JSON: unterminated string")


@pytest.mark.parametrize(
    ("body", "got"),
    [
        (b"[1]", "a list"),
        (b'"x"', "the string 'x'"),
        (b"1", "the number 1"),
        (b"null", "null"),
        (b"true", "the boolean true"),
    ],
)
def test_job_must_be_an_object(body: bytes, got: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_job(body, JSON)
    expected = f"expected a mapping with the keys of a job or task, got {got}"
    assert caught.value.faults == (Fault("", expected),)
