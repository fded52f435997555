"""The forms in which a value is masked."""

import base64
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.masking.encodings import ENCODINGS, base64_cores, to_json
from tests.expr.hosts import HOST
from tork_celery import expr
from tork_celery.domain.masking import REDACTED, MaskedValues

NASTY = 'pa"ss\\word <é>\t+/& \N{GRINNING FACE}'
"""A value that every encoder changes."""
KEY = "-----BEGIN KEY-----\n0123456789abcdef\n  indented: line\nshort\n-----END KEY-----\n"


def masked(text: str, *values: str) -> str:
    return MaskedValues(values).mask(text)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_value_is_masked_in_every_encoding(encoding: str) -> None:
    assert masked(f"it is {ENCODINGS[encoding](NASTY)}.", NASTY) == f"it is {REDACTED}."


@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "user:"])
@pytest.mark.parametrize("after", ["", "\n", "xy", "xyz"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("value", ["123456", NASTY, "\N{LATIN SMALL LETTER Y WITH DIAERESIS}>?>?>"])
def test_value_is_masked_in_base64_at_every_alignment(
    before: str, after: str, encode: Any, value: str
) -> None:
    """Characters that depend on the neighbours too may show: up to two before, one and the padding after."""
    shown = masked(encode(f"{before}{value}{after}".encode()).decode(), value)

    assert shown.count(REDACTED) == 1
    left, right = shown.split(REDACTED)
    assert len(left) <= len(before) * 4 / 3 + 2
    assert len(right.rstrip("=")) <= len(after) * 4 / 3 + 2


def test_base64_of_a_value_is_masked_where_it_is_wrapped() -> None:
    value = NASTY * 10
    lines = base64.encodebytes(value.encode()).decode().splitlines()
    assert masked("\n".join(lines), value) == "\n".join([REDACTED] * len(lines))


@pytest.mark.parametrize("printed", ["abc123", " abc123", "\nabc123\n", "user:abc123@host"])
def test_value_is_masked_with_and_without_the_white_space_around_it(printed: str) -> None:
    assert "abc123" not in masked(f"pin is <{printed}>", "abc123\n")
    assert "abc123" not in masked(f"pin is <{printed}>", "  abc123\t ")


def test_value_is_masked_in_the_text_and_json_of_all_secrets() -> None:
    secrets = {"secrets": {"p": 'pa"ss\\word'}}
    for template in ("{{ secrets }}", "{{ toJSON(secrets) }}"):
        assert 'pa\\"ss' not in masked(expr.render(template, secrets, HOST), 'pa"ss\\word')


@pytest.mark.parametrize("line", ["-----BEGIN KEY-----", "0123456789abcdef", "indented: line"])
def test_long_line_of_a_value_is_masked_on_its_own(line: str) -> None:
    assert masked(f"read {line} ok", KEY) == f"read {REDACTED} ok"


def test_line_is_masked_as_json() -> None:
    assert masked(to_json('say "hello"'), 'say "hello"\nand more') == f'"{REDACTED}"'


def test_short_line_is_masked_with_the_whole_value_only() -> None:
    assert masked("short", KEY) == "short"
    assert masked(f"<{KEY}>", KEY) == f"<{REDACTED}>"


def test_blank_line_is_no_secret() -> None:
    assert masked(" " * 40, "0123456789\n" + " " * 10) == " " * 40


def test_value_of_two_characters_is_not_masked() -> None:
    assert masked("1,ab, ab ", "1", "", "ab", " ab ") == f"1,ab,{REDACTED}"


def test_value_of_five_characters_is_not_masked_in_base64() -> None:
    encoded = base64.b64encode(b"12345").decode()
    assert masked(encoded, "12345") == encoded


@given(
    value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=6, max_size=40),
    offset=st.integers(0, 2),
)
def test_all_of_base64_that_depends_on_the_value_alone_is_masked(value: str, offset: int) -> None:
    core = list(base64_cores(value))[offset]
    assert masked(core, value) == REDACTED


@given(
    part=st.text(string.printable, min_size=1, max_size=9),
    length=st.integers(1000, 6000),
    encoding=st.sampled_from(sorted(ENCODINGS)),
)
def test_value_of_any_length_is_masked(part: str, length: int, encoding: str) -> None:
    value = (part * length)[:length]
    text = ENCODINGS[encoding](value)
    assert masked(f"\0{text}\0", value) == (f"\0{REDACTED}\0" if text else "\0\0")
