"""Mask what matchers find, in texts and streams."""

from collections.abc import Callable

from tork_celery.domain.masking.matcher import Matcher, Span, decode, encode, merged

Mask = Callable[[str], str]
"""Returns a text with all values masked."""

REDACTED = "[REDACTED]"

_MARK = encode(REDACTED)
_NOTHING = -1


class Masker:
    """Masks all matches of some matchers. Thread-safe.

    One `[REDACTED]` stands for all matches that overlap or touch.
    """

    def __init__(self, *matchers: Matcher) -> None:
        self._matchers = [matcher for matcher in matchers if matcher]

    def __bool__(self) -> bool:
        """Return whether anything is masked."""
        return bool(self._matchers)

    def mask(self, text: str) -> str:
        """Return the text with all values masked."""
        if not self._matchers or not (spans := self.spans(data := encode(text))):
            return text
        masked, end = list[bytes](), 0
        for start, stop in spans:
            masked += (data[end:start], _MARK)
            end = stop
        return decode(b"".join((*masked, data[end:])))

    def without_cut_value(self, text: str) -> str:
        """Return the text up to a value that its end may cut off."""
        data = encode(text)
        end = self.cut_off_at(data)
        for start, stop in self.spans(data):
            if stop >= end:  # the piece of a long value before the one that is cut off
                end = min(start, end)
        return decode(data[:end])

    def spans(self, text: bytes) -> list[Span]:
        """Return the parts of a text to mask, in order."""
        return merged(span for matcher in self._matchers for span in matcher.spans(text))

    def cut_off_at(self, text: bytes) -> int:
        """Return the first place where a value may begin that the end of the text cuts off, or its length."""
        return min((matcher.cut_off_at(text) for matcher in self._matchers), default=len(text))


class StreamMask:
    """Masks values in a text that arrives in pieces. For one thread.

    The result does not depend on where the text is cut: an end that may be the beginning of a value is held
    back until the next piece.
    """

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._held_back = b""
        self._mark_end = (
            _NOTHING  # where the part ends, from the start of `_held_back`, that the last mark is for
        )

    def feed(self, text: str, *, final: bool = False) -> str:
        """Add a piece and return the masked text up to the part that is held back."""
        if not self._masker:
            return text
        data = self._held_back + encode(text)
        safe = len(data) if final else self._masker.cut_off_at(data)
        masked, end = list[bytes](), self._mark_end
        for start, stop in self._masker.spans(data):
            if start >= safe:
                break
            if start > end:
                masked += (data[max(end, 0) : start], _MARK)
            end = max(end, stop)
        masked.append(data[max(end, 0) : safe])
        self._held_back = data[safe:]
        self._mark_end = end - safe if end >= safe else _NOTHING
        return decode(b"".join(masked))
