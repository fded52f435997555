"""Templates: text that contains expressions, such as `Hello, {{ inputs.name }}!`."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from tork_celery.expr import limits
from tork_celery.expr.errors import ExpressionError, LanguageError
from tork_celery.expr.evaluation import Budget

OPENING, _CLOSING = "{{", "}}"
# Braces inside of strings and comments do not count.
_TOKEN = re.compile(
    r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"'
    r"|'[^'\\\n]*(?:\\.[^'\\\n]*)*'"
    r"|`[^`]*`"
    r"|//(?:(?!\}\})[^\n])*"
    r"|/\*[\s\S]*?\*/"
    r"|[{}]",
)


@dataclass(frozen=True, slots=True)
class Placeholder:
    """An expression in a template, without its braces."""

    source: str


Part = str | Placeholder


def split(template: str) -> tuple[Part, ...]:
    """Split a template into literal text and placeholders, in order, without empty texts.

    Raises ExpressionError for a placeholder that is not closed, and for a template that exceeds the limits.
    """
    if OPENING not in template:
        return (template,) if template else ()
    if len(template) > limits.TEMPLATE_CHARS:
        raise ExpressionError(f"the text is longer than {limits.TEMPLATE_CHARS} characters", template)
    return _split_cached(template) if len(template) <= limits.CACHED_CHARS else _split(template)


@lru_cache(maxsize=limits.CACHED_PROGRAMS)
def _split_cached(template: str) -> tuple[Part, ...]:
    return _split(template)


def _split(template: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    end = 0
    while (start := template.find(OPENING, end)) >= 0:
        if len(parts) > 2 * limits.TEMPLATE_EXPRESSIONS:
            reason = f"the text contains more than {limits.TEMPLATE_EXPRESSIONS} expressions"
            raise ExpressionError(reason, template, start)
        stop = _find_closing(template, start)
        parts += [template[end:start], Placeholder(template[start + len(OPENING) : stop])]
        end = stop + len(_CLOSING)
    return tuple(part for part in (*parts, template[end:]) if part)


def _find_closing(template: str, start: int) -> int:
    """Return the position of the braces that close those at `start`, after the braces of any maps."""
    depth = 0
    for token in _TOKEN.finditer(template, start + len(OPENING), start + limits.SOURCE_CHARS):
        if token[0] == "{":
            depth += 1
        elif token[0] == "}":
            if not depth and template.startswith(_CLOSING, token.start()):
                return token.start()
            depth = max(0, depth - 1)
    raise ExpressionError("{{ is not closed by }}", template, start)


def strip_braces(text: str) -> str:
    """Return the expression of a text that is one placeholder, and any other text unchanged."""
    stripped = text.strip()
    if not stripped.startswith(OPENING):
        return text
    parts = split(stripped)
    return parts[0].source if len(parts) == 1 and isinstance(parts[0], Placeholder) else text


def fill(template: str, evaluate: Callable[[str], str], budget: Budget) -> str:
    """Replace each placeholder by the result of `evaluate` for its source. Copied text counts as steps."""
    filled, chars = [], 0
    for part in split(template):
        text = part if isinstance(part, str) else evaluate(part.source)
        chars += len(text)
        if chars > limits.TEMPLATE_CHARS:
            raise ExpressionError(
                f"the text would be longer than {limits.TEMPLATE_CHARS} characters", template
            )
        try:
            budget.spend(len(text) >> 4)
        except LanguageError as error:
            raise ExpressionError(error.reason, template) from None
        filled.append(text)
    return "".join(filled)
