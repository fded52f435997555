"""A matcher finds exactly what a search for each pattern finds."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from tork_celery.domain.masking.matcher import MAX_PATTERN_BYTES, Matcher, encode, merged, pieces

# Few letters, so that patterns overlap, contain each other, and have beginnings of any length in common
texts = st.text("aab\N{LATIN SMALL LETTER E WITH ACUTE}", max_size=60)
patterns = st.sets(st.text("aab\N{LATIN SMALL LETTER E WITH ACUTE}", min_size=1, max_size=20), max_size=12)


def occurrences(pattern: bytes, text: bytes) -> list[tuple[int, int]]:
    return [(at, at + len(pattern)) for at in range(len(text)) if text.startswith(pattern, at)]


@given(text=texts, patterns=patterns)
def test_all_occurrences_are_found(text: str, patterns: set[str]) -> None:
    data = encode(text)
    expected = itertools.chain.from_iterable(occurrences(encode(pattern), data) for pattern in patterns)
    assert merged(Matcher(patterns).spans(data)) == merged(expected)


@given(text=texts, patterns=patterns)
def test_text_is_cut_off_where_a_pattern_may_continue(text: str, patterns: set[str]) -> None:
    data = encode(text)
    longer = [
        start
        for start in range(len(data))
        if any(encode(p).startswith(data[start:]) and encode(p) != data[start:] for p in patterns)
    ]
    assert Matcher(patterns).cut_off_at(data) == min(longer, default=len(data))


def test_more_patterns_than_an_automaton_has_are_found() -> None:
    numbers = [f"{number:09}." for number in range(40_000)]
    matcher = Matcher(numbers)
    assert merged(matcher.spans(encode("x".join(numbers)))) == [
        (at * 11, at * 11 + 10) for at in range(40_000)
    ]


@given(
    characters=st.text("a\N{LATIN SMALL LETTER E WITH ACUTE}\N{GRINNING FACE}", min_size=1, max_size=7),
    length=st.integers(1, 5 * MAX_PATTERN_BYTES),
)
def test_pieces_are_whole_characters_and_cover_the_pattern(characters: str, length: int) -> None:
    pattern = encode((characters * length)[:length])

    cut = list(pieces(pattern))

    assert all(piece.decode() for piece in cut)
    assert max(map(len, cut)) <= MAX_PATTERN_BYTES + 3
    assert min(map(len, cut)) >= min(len(pattern), MAX_PATTERN_BYTES - 3)
    assert merged(Matcher([pattern.decode()]).spans(pattern)) == [(0, len(pattern))]


def test_spans_are_joined_where_they_overlap_or_touch() -> None:
    assert merged([(4, 6), (0, 2), (1, 3), (6, 7), (9, 10)]) == [(0, 3), (4, 7), (9, 10)]
