"""Regular expressions of RE2, as in Go. Matching takes linear time, because RE2 does not backtrack."""

from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]

from tork_celery.expr import limits
from tork_celery.expr.errors import LanguageError
from tork_celery.expr.evaluation import Frame
from tork_celery.expr.values import utf8

_MEMORY_BYTES = 8 << 20
_MIN_STEPS_TO_COMPILE = 30


class Pattern:
    """A compiled pattern. Its first use in an evaluation counts the steps of the compilation."""

    __slots__ = ("_compiled", "_size", "_steps")

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self._size: int = compiled.programsize
        self._steps = _MIN_STEPS_TO_COMPILE + (self._size >> 2)

    def search(self, frame: Frame, text: str) -> bool:
        """Return whether the pattern matches any part of the text."""
        # In the worst case RE2 tries each of its instructions on each character.
        frame.spend(self._steps + (len(text) * self._size >> 7))
        self._steps = 0
        return self._compiled.search(utf8.encode(text)) is not None


def matches(frame: Frame, text: str, pattern: str) -> bool:
    """Return whether the pattern matches any part of the text."""
    return compile_pattern(pattern).search(frame, text)


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> Pattern:
    """Compile a pattern. Raises LanguageError for what RE2 rejects, such as backreferences and lookaround."""
    if len(pattern) > limits.PATTERN_CHARS:
        raise LanguageError(f"the pattern is longer than {limits.PATTERN_CHARS} characters")
    try:
        return Pattern(re2.compile(utf8.encode(pattern), _options()))
    except re2.error:
        raise LanguageError("the pattern is not a valid regular expression of RE2") from None


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY_BYTES
    return options
