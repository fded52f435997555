"""Regular expressions by RE2, whose language and linear time Go has too: no pattern backtracks."""

from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]

from tork_celery.expr import limits
from tork_celery.expr.errors import Fault
from tork_celery.expr.run import Run

_MEMORY_BYTES = 8 << 20


def matches(run: Run, text: str, pattern: str) -> bool:
    """Whether the pattern is found anywhere in the text."""
    compiled = compiled_pattern(pattern)
    # The worst that RE2 does is to try each of its instructions on each character.
    run.spend(len(text) * compiled.programsize >> 7)
    return compiled.search(text.encode("utf-8", "surrogatepass")) is not None


@lru_cache(maxsize=256)
def compiled_pattern(pattern: str) -> Any:
    """Raises Fault for what RE2 refuses, such as references back and looking around."""
    if len(pattern) > limits.PATTERN_CHARS:
        raise Fault(f"the pattern is longer than {limits.PATTERN_CHARS} characters")
    try:
        return re2.compile(pattern.encode("utf-8", "surrogatepass"), _options())
    except re2.error:
        raise Fault("the pattern is not a regular expression of RE2") from None


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY_BYTES
    return options
