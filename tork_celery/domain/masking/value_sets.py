"""Sets of values to mask. Equal sets share what it takes to find their values."""

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property

from tork_celery.domain.masking.forms import HEAD_CHARS, MIN_CHARS, forms, heads, heads_of, parts
from tork_celery.domain.masking.masker import Masker
from tork_celery.domain.masking.matcher import Matcher

_SMALL_CHARS = 16 * 1024  # a matcher of such values takes a few milliseconds
_FEW_CHARS = 128 * 1024  # texts in which heads are looked up without a matcher
_CACHED_CHARS = 4 * 1024 * 1024  # a matcher takes about ten times the memory of its values
_CACHED_SETS = 1024


class MaskedValues:
    """The values to mask in the texts of a job or task. Thread-safe."""

    def __init__(self, values: Collection[str] = (), *, base: "MaskedValues | None" = None) -> None:
        """Mask these values and those of `base`, which are not prepared again."""
        known, prepared = (base.values, base.sets) if base else (frozenset[str](), ())
        new = frozenset(value for value in values if len(value) >= MIN_CHARS) - known
        self.values: frozenset[str] = known | new
        self.sets: tuple[_ValueSet, ...] = (*prepared, _cache.get(new)) if new else prepared

    def with_values(self, values: Collection[str]) -> "MaskedValues":
        """Return these and further values."""
        return MaskedValues(values, base=self)

    def masker(self) -> Masker:
        """Return a masker for any texts, and for streams."""
        return Masker(*(values.matcher for values in self.sets))

    def masker_for(self, texts: Sequence[str]) -> Masker:
        """Return a masker for these texts, which costs less for small texts and large values."""
        return Masker(*(values.matcher_for(texts) for values in self.sets))

    def mask(self, text: str) -> str:
        """Return the text with all values masked."""
        return self.masker_for([text]).mask(text)


class _ValueSet:
    """Values, with a matcher that is made when it is worth its cost."""

    def __init__(self, values: frozenset[str]) -> None:
        self._values = values
        self._chars_masked = 0
        self.chars = sum(map(len, values))

    @cached_property
    def matcher(self) -> Matcher:
        return Matcher(form for value in self._values for form in forms(value))

    def matcher_for(self, texts: Sequence[str]) -> Matcher:
        """Return a matcher that finds all forms that these texts hold as a whole.

        While the texts are few and the values large, it has only the forms whose beginning a text holds.
        """
        chars = sum(map(len, texts))
        self._chars_masked += chars
        if (
            "matcher" in self.__dict__
            or self.chars <= _SMALL_CHARS
            or self._chars_masked > self.chars
            or chars > _FEW_CHARS
        ):
            return self.matcher
        windows = {text[at : at + HEAD_CHARS] for text in texts for at in range(len(text) - HEAD_CHARS + 1)}
        if self._heads.isdisjoint(windows):
            return Matcher(self._short_forms)
        return Matcher(self._forms_with_head(windows))

    @cached_property
    def _heads(self) -> frozenset[str]:
        return frozenset().union(*map(heads, self._values))

    @cached_property
    def _short_forms(self) -> frozenset[str]:
        """The forms of texts that are shorter than a head."""
        return frozenset(
            form
            for value in self._values
            if len(value.strip()) < HEAD_CHARS
            for text, forms_of in parts(value)
            if len(text) < HEAD_CHARS
            for form in forms_of(text)
        )

    def _forms_with_head(self, windows: AbstractSet[str]) -> Iterator[str]:
        yield from self._short_forms
        for value in self._values:
            for text, forms_of in parts(value):
                if len(text) >= HEAD_CHARS and not windows.isdisjoint(heads_of(text, forms_of)):
                    yield from forms_of(text)


class _Cache:
    """The last used value sets, up to a number and a size. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sets: OrderedDict[frozenset[str], _ValueSet] = OrderedDict()
        self._chars = 0

    def get(self, values: frozenset[str]) -> _ValueSet:
        with self._lock:
            value_set = self._sets.get(values)
            if value_set is None:
                value_set = self._sets[values] = _ValueSet(values)
                self._chars += value_set.chars
            self._sets.move_to_end(values)
            while len(self._sets) > _CACHED_SETS or self._chars > _CACHED_CHARS:
                _, removed = self._sets.popitem(last=False)
                self._chars -= removed.chars
            return value_set


_cache = _Cache()
