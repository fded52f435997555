"""Search for many texts at once, in one linear pass.

Aho-Corasick automata find the first bytes of the patterns, which keeps them small: with all forms of a
certificate of 130 KB, one is built in milliseconds. Each place that they find is compared with the patterns.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from ahocorasick_rs import BytesAhoCorasick

MAX_PATTERN_BYTES = 1024
"""A longer pattern is cut to pieces, so that a stream holds back no more than this."""

_HEAD_BYTES = 8
_CONTINUATION = 0b1000_0000  # the first two bits of a byte of UTF-8 that does not start a character
_HEADS_OF_AUTOMATON = 16_384  # one takes 20 ms to build, in which no other thread runs

Span = tuple[int, int]
"""Start and end of a match."""


class Matcher:
    """Finds all places where one of the patterns occurs, however they overlap. Thread-safe."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = sorted({piece for pattern in patterns for piece in pieces(encode(pattern))})
        self._longest_prefixes = _longest_prefixes(self._patterns)
        self._longest_bytes = max(map(len, self._patterns), default=0)
        heads, groups = _grouped_by_head(self._patterns)
        starts = range(0, len(heads), _HEADS_OF_AUTOMATON)
        batches = [slice(start, start + _HEADS_OF_AUTOMATON) for start in starts]
        self._automata = [(BytesAhoCorasick(heads[batch]), groups[batch]) for batch in batches]

    def __bool__(self) -> bool:
        """Return whether there are any patterns."""
        return bool(self._patterns)

    def spans(self, text: bytes) -> list[Span]:
        """Return spans that cover all matches, in any order."""
        spans, patterns = list[Span](), self._patterns
        begin = end = 0  # of the last span
        for automaton, groups in self._automata:
            for head, start, _ in automaton.find_matches_as_indexes(text, overlapping=True):
                first, last = groups[head]
                if last - first > 1:
                    stop = start + self._longest_match(text, start, first, last)
                elif text.startswith(patterns[first], start):
                    stop = start + len(patterns[first])
                else:
                    continue
                if stop > start and not (begin <= start and stop <= end):
                    begin, end = start, stop
                    spans.append((start, stop))
        return spans

    def cut_off_at(self, text: bytes) -> int:
        """Return the first place where a pattern may begin that the end of the text cuts off.

        Return the length of the text if there is no such place.
        """
        before = max(0, len(text) - self._longest_bytes + 1)
        tail = text[before:]
        starts = {
            start
            for automaton, _ in self._automata
            for _, start, _ in automaton.find_matches_as_indexes(tail, overlapping=True)
        }
        starts.update(range(max(0, len(tail) - _HEAD_BYTES + 1), len(tail)))
        for start in sorted(starts):
            if self._begins_pattern(tail[start:]):
                return before + start
        return len(text)

    def _longest_match(self, text: bytes, start: int, first: int, last: int) -> int:
        """Return the length of the longest pattern of a range that occurs at `start`, or 0."""
        found = text[start : start + self._longest_bytes]
        index = bisect_right(self._patterns, found, first, last) - 1
        while index >= first and not found.startswith(self._patterns[index]):
            index = self._longest_prefixes[index]
        return len(self._patterns[index]) if index >= first else 0

    def _begins_pattern(self, text: bytes) -> bool:
        """Return whether the text is the beginning of a longer pattern."""
        index = bisect_right(self._patterns, text)
        return index < len(self._patterns) and self._patterns[index].startswith(text)


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return the spans in order, joined where they overlap or touch."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def pieces(pattern: bytes) -> Iterator[bytes]:
    """Cut a long pattern between characters. The last piece overlaps the one before it."""
    start = 0
    while len(pattern) - start > MAX_PATTERN_BYTES:
        end = _character_start(pattern, start + MAX_PATTERN_BYTES)
        yield pattern[start:end]
        start = end
    yield pattern[_character_start(pattern, len(pattern) - MAX_PATTERN_BYTES) if start else 0 :]


def encode(text: str) -> bytes:
    """Return the text in UTF-8. Surrogates, which no storable text has, are no error."""
    return text.encode("utf-8", "surrogatepass")


def decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def _character_start(text: bytes, index: int) -> int:
    """Return the start of the character that the byte at `index` belongs to."""
    while text[index] & 0b1100_0000 == _CONTINUATION:
        index -= 1
    return index


def _longest_prefixes(patterns: Sequence[bytes]) -> list[int]:
    """Return for each pattern, sorted, the index of the longest other one that it begins with, or -1."""
    prefixes, enclosing = list[int](), list[int]()
    for index, pattern in enumerate(patterns):
        while enclosing and not pattern.startswith(patterns[enclosing[-1]]):
            enclosing.pop()
        prefixes.append(enclosing[-1] if enclosing else -1)
        enclosing.append(index)
    return prefixes


def _grouped_by_head(patterns: Sequence[bytes]) -> tuple[list[bytes], list[tuple[int, int]]]:
    """Return the heads of the sorted patterns, and for each head the range of the patterns that have it."""
    heads, groups = list[bytes](), list[tuple[int, int]]()
    for index, pattern in enumerate(patterns):
        head = pattern[:_HEAD_BYTES]
        if heads and heads[-1] == head:
            groups[-1] = groups[-1][0], index + 1
        else:
            heads.append(head)
            groups.append((index, index + 1))
    return heads, groups
