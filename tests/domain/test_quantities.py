"""Amounts are parsed as the engine does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tork_celery.domain.quantities import format_size, memory_bytes, nano_cpus, size_bytes

MIB = 2**20


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 10**9),
        ("0.5", 5 * 10**8),
        ("2.25", 2_250_000_000),
        ("0.000000001", 1),
        ("64", 64 * 10**9),
        (".5", 5 * 10**8),
    ],
)
def test_valid_number_of_cpus(text: str, expected: int) -> None:
    assert nano_cpus(text) == expected


@pytest.mark.parametrize(
    "text", ["", "0", "0.0", "-1", "+1", ".", "1.", "1e3", "half", "1 ", "\u0661", "9999999", "nan"]
)
def test_invalid_number_of_cpus_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a number of CPUs; write it like 0\.5 or 2"):
        nano_cpus(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500m", 500 * MIB),
        ("500M", 500 * MIB),
        ("500mb", 500 * MIB),
        ("500MiB", 500 * MIB),
        ("1g", 2**30),
        ("1.5g", 3 * 2**29),
        ("2 GB", 2**31),
        ("6291456", 6 * MIB),
        ("6144k", 6 * MIB),
        ("1t", 2**40),
        ("1p", 2**50),
    ],
)
def test_valid_amount_of_memory(text: str, expected: int) -> None:
    assert memory_bytes(text) == expected


@pytest.mark.parametrize(
    "text", ["", "0", "0k", "-1g", "g", "1x", "1 g g", "\u0661g", "9" * 15 + "p", "1g\n"]
)
def test_invalid_size_is_rejected(text: str) -> None:
    for parse in (size_bytes, memory_bytes):
        with pytest.raises(ValueError, match="is not a size; write it like 500m or 2g"):
            parse(text)


@pytest.mark.parametrize("text", ["1", "1m", "5.9m", "6143k"])
def test_too_little_memory_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="is too little memory for a container; at least 6m is needed"):
        memory_bytes(text)
    assert size_bytes(text) > 0


@given(st.text(max_size=20))
def test_any_other_text_raises_value_error(text: str) -> None:
    for parse, upper_bound in ((nano_cpus, 10**15), (memory_bytes, 2**63)):
        try:
            assert 0 < parse(text) < upper_bound
        except ValueError as error:
            assert repr(text) in str(error)  # noqa: PT017  both outcomes are valid


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0"),
        (512, "512"),
        (1024, "1k"),
        (500 * MIB, "500m"),
        (3 * 2**29, "1.5g"),
        (10 * 2**30, "10g"),
        (75_500_000, "72m"),
        (2**50, "1p"),
        (2**30 - 1, "1023.9m"),
    ],
)
def test_size_is_formatted_with_a_unit(size: int, text: str) -> None:
    assert format_size(size) == text
