"""Regular expressions of RE2, as in Go. Matching takes linear time, because RE2 does not backtrack."""

from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]

from tork_celery.expr import limits
from tork_celery.expr.errors import LanguageError
from tork_celery.expr.evaluation import Frame
from tork_celery.expr.values import utf8

_MEMORY_BYTES = 8 << 20


def matches(frame: Frame, text: str, pattern: str) -> bool:
    """Return whether the pattern matches any part of the text."""
    compiled = compile_pattern(pattern)
    # In the worst case RE2 tries each of its instructions on each character.
    frame.spend(len(text) * compiled.programsize >> 7)
    return compiled.search(utf8.encode(text)) is not None


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> Any:
    """Compile a pattern. Raises LanguageError for what RE2 rejects, such as backreferences and lookaround."""
    if len(pattern) > limits.PATTERN_CHARS:
        raise LanguageError(f"the pattern is longer than {limits.PATTERN_CHARS} characters")
    try:
        return re2.compile(utf8.encode(pattern), _options())
    except re2.error:
        raise LanguageError("the pattern is not a valid regular expression of RE2") from None


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY_BYTES
    return options
