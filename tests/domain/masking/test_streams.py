"""Values are masked in texts that arrive in pieces, wherever they are cut."""

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tork_celery.domain.masking import REDACTED, MaskedValues, StreamMask

VALUE = 'pa"ss wörd/+1234'


def stream_mask(*values: str) -> StreamMask:
    return StreamMask(MaskedValues(values).masker())


def masked_in_pieces(mask: StreamMask, pieces: Iterable[str]) -> str:
    return "".join([*map(mask.feed, pieces), mask.feed("", final=True)])


def test_possible_beginning_of_a_value_is_held_back() -> None:
    mask = stream_mask("hunter2")
    fed = [mask.feed("I am hun"), mask.feed("ter"), mask.feed("2!"), mask.feed("", final=True)]
    assert fed == ["I am ", "", f"{REDACTED}!", ""]


def test_held_back_text_is_returned_at_the_end() -> None:
    mask = stream_mask("hunter2")
    assert [mask.feed("hunt"), mask.feed("", final=True)] == ["", "hunt"]


@pytest.mark.parametrize("cut", range(len(f"a {VALUE} b") + 1))
def test_value_is_masked_wherever_it_is_cut(cut: int) -> None:
    text = f"a {VALUE} b"
    assert masked_in_pieces(stream_mask(VALUE), [text[:cut], text[cut:]]) == f"a {REDACTED} b"


def test_matches_that_touch_across_a_cut_have_one_mark() -> None:
    mask = stream_mask("abc")
    assert masked_in_pieces(mask, ["abc", "abc", "ab", "c.", "abc"]) == f"{REDACTED}.{REDACTED}"


def test_long_value_is_masked_once_though_little_of_it_is_held_back() -> None:
    value = "".join(f"{number:05}" for number in range(1000))
    mask = stream_mask(value)

    fed = [mask.feed(value[at : at + 100]) for at in range(0, len(value), 100)]

    assert "".join([*fed, mask.feed("", final=True)]) == REDACTED
    assert next(index for index, text in enumerate(fed) if text) < 12, "long before its end"


texts = st.text("abc\n", max_size=60)
values = st.sets(st.text("abc\n", min_size=1, max_size=6), max_size=4)


@given(text=texts, values=values, cuts=st.lists(st.integers(0, 60), max_size=8))
def test_result_does_not_depend_on_the_cuts(text: str, values: set[str], cuts: list[int]) -> None:
    bounds = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    pieces = [text[start:end] for start, end in itertools.pairwise(bounds)]
    masked = masked_in_pieces(stream_mask(*values), pieces)
    assert masked == MaskedValues(values).mask(text)
