"""Large values are masked in small texts without the work for large texts."""

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domain.masking.encodings import ENCODINGS
from tork_celery.domain.masking import REDACTED, MaskedValues, value_sets
from tork_celery.domain.masking.matcher import Matcher

LETTERS = string.ascii_letters + string.digits


@pytest.fixture
def large_values() -> list[str]:
    """Values of 1 MiB in all: single lines, many lines, and short ones."""
    random_ = random.Random(7)
    lines = ["".join(random_.choices(LETTERS, k=64)) for _ in range(8_000)]
    single = ["".join(random_.choices(LETTERS + '"\\ /é', k=1024)) for _ in range(500)]
    return ["\n".join(lines), *single, "hunter2", " pin ", '  "quoted" value\n']


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the matchers that are made, in patterns."""
    sizes = list[int]()

    class CountingMatcher(Matcher):
        def __init__(self, patterns: object) -> None:
            sizes.append(len(texts := list(patterns)))  # type: ignore[call-overload]
            super().__init__(texts)

    monkeypatch.setattr(value_sets, "Matcher", CountingMatcher)
    return sizes


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_large_values_are_masked_in_small_texts(encoding: str, large_values: list[str]) -> None:
    encode = ENCODINGS[encoding]
    lines, single, *_ = large_values
    for value in (single, lines.splitlines()[5000], "hunter2", '  "quoted" value\n'):
        if value in large_values or encoding == "as it is":
            shown = MaskedValues(large_values).mask(f"it is <{encode(value)}>")
            assert shown.replace("\n", "").replace(" ", "") == f"itis<{REDACTED}>"


def test_small_text_costs_no_large_matcher(large_values: list[str], built: list[int]) -> None:
    values = MaskedValues([*large_values, "another"])

    assert values.mask("a name of a job") == "a name of a job"
    assert values.mask(large_values[3]) == REDACTED

    assert max(built) < 100


def test_matcher_is_made_once_for_as_much_text_as_the_values_have(
    large_values: list[str], built: list[int]
) -> None:
    values = MaskedValues([*large_values, "yet another"])
    for _ in range(20):
        values.mask("x " * 40_000)

    assert [size for size in built if size > 1000] == [max(built)]


def test_large_text_is_masked_with_the_matcher_of_all_values(
    large_values: list[str], built: list[int]
) -> None:
    values = MaskedValues([*large_values, "and another"])
    text = f"{large_values[3]} " * 200

    assert values.mask(text) == f"{REDACTED} " * 200
    assert len(built) == 1


def test_further_values_are_masked_too() -> None:
    values = MaskedValues({"hunter2"}).with_values({"hunter2", "postgres://ada:hunter2@db"})
    assert values.mask("to postgres://ada:hunter2@db as hunter2") == f"to {REDACTED} as {REDACTED}"


def test_equal_groups_share_a_matcher(built: list[int]) -> None:
    for _ in range(3):
        MaskedValues({"shared-1", "shared-2"}).mask("shared-1")
    assert len(built) == 1


def test_no_values_mask_nothing() -> None:
    values = MaskedValues().with_values({"", "ab"})
    assert values.mask("ab") == "ab"
    assert not values.masker()


def test_least_recently_used_values_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(value_sets, "_CACHED_CHARS", 25)
    cache = value_sets._Cache()
    one, two, three = (frozenset({letter * 10}) for letter in "abc")
    kept, dropped = cache.get(one), cache.get(two)
    cache.get(one)
    cache.get(three)

    assert cache.get(one) is kept
    assert cache.get(two) is not dropped


@given(
    values=st.lists(st.text('ab"\n ', min_size=3, max_size=30), max_size=3),
    text=st.text('ab"\\n ', max_size=100),
)
def test_small_texts_are_masked_alike_with_either_matcher(values: list[str], text: str) -> None:
    large = [*values, "x" * 20_000]
    expected = MaskedValues(values).masker().mask(text)
    assert MaskedValues(large).mask(text) == expected
