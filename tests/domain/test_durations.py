"""Durations are parsed as in Go."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tork_celery.domain.durations import seconds
from tork_celery.expr import parse_nanoseconds

UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,  # the micro sign
    "\u03bcs": 10**3,  # the Greek letter
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("0s", 0),
        ("1ns", 1),
        ("1us", 10**3),
        ("1µs", 10**3),
        ("1\u03bcs", 10**3),
        ("500ms", 5 * 10**8),
        ("2.5s", 25 * 10**8),
        ("1h30m", 5400 * 10**9),
        (".5s", 5 * 10**8),
        ("5.s", 5 * 10**9),
        ("1h2m3s4ms5us6ns", 3723004005006),
        ("3m1h", 3780 * 10**9),
        ("1s1s", 2 * 10**9),
        ("0.9ns", 0),
        ("2562047h47m16.854775807s", 2**63 - 1),
        ("007s", 7 * 10**9),
    ],
)
def test_valid_duration(text: str, expected: int) -> None:
    assert parse_nanoseconds(text) == expected
    assert seconds(text) == expected / 10**9


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "s",
        ".s",
        ".",
        "1x",
        "1d",
        "1 s",
        " 1s",
        "1s ",
        "-1s",
        "+1s",
        "1e3s",
        "1S",
        "1..2s",
        "1.2.3s",
        "1s2",
        "\u0661s",
        "2562047h47m16.854775808s",
        "1" + "0" * 200 + "s",
        "\n1s",
        "1s\n",
        "00",
    ],
)
def test_invalid_duration_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a duration; write it like 1h30m, 500ms or 2\.5s"):
        parse_nanoseconds(text)


PARTS = st.tuples(
    st.integers(0, 1000),
    st.one_of(st.just(""), st.from_regex(r"[0-9]{1,6}", fullmatch=True)),
    st.sampled_from(list(UNITS)),
)


@given(st.lists(PARTS, min_size=1, max_size=4))
def test_parts_of_a_duration_are_added(given_parts: list[tuple[int, str, str]]) -> None:
    text = "".join(f"{whole}{'.' if part else ''}{part}{unit}" for whole, part, unit in given_parts)
    expected = sum(
        (Fraction(f"{whole}.{part or 0}") * UNITS[unit] for whole, part, unit in given_parts), Fraction(0)
    )

    assert parse_nanoseconds(text) == int(expected)


@given(st.text(max_size=200))
def test_any_other_text_raises_value_error(text: str) -> None:
    try:
        assert 0 <= parse_nanoseconds(text) < 2**63
    except ValueError as error:
        assert len(str(error)) < 300  # noqa: PT017  both outcomes are valid


@pytest.mark.parametrize("text", ["9" * 100_000 + "s", "1s" * 100_000, "." * 100_000])
def test_long_text_is_rejected_with_a_short_message(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration") as raised:
        parse_nanoseconds(text)
    assert len(str(raised.value)) < 120
