"""Text with expressions in it: `Hello, {{ inputs.name }}!`."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from tork_celery.expr import limits
from tork_celery.expr.errors import ExpressionError

OPENING, _CLOSING = "{{", "}}"
# What may hide a brace inside of a hole: strings and comments.
_PART = re.compile(
    r'"[^"\\\n]*(?:\\.[^"\\\n]*)*"'
    r"|'[^'\\\n]*(?:\\.[^'\\\n]*)*'"
    r"|`[^`]*`"
    r"|//(?:(?!\}\})[^\n])*"
    r"|/\*[\s\S]*?\*/"
    r"|[{}]",
)


@dataclass(frozen=True, slots=True)
class Hole:
    """The source of one expression."""

    source: str


Part = str | Hole


def parts(template: str) -> tuple[Part, ...]:
    """The literal parts and the holes, in order; empty literals are left out.

    Raises ExpressionError for a hole that is not closed, and past the limits of templates.
    """
    if OPENING not in template:
        return (template,) if template else ()
    if len(template) > limits.TEMPLATE_CHARS:
        raise ExpressionError(f"the text is longer than {limits.TEMPLATE_CHARS} characters", template)
    return _cached(template) if len(template) <= limits.CACHED_CHARS else _split(template)


@lru_cache(maxsize=limits.CACHED_PROGRAMS)
def _cached(template: str) -> tuple[Part, ...]:
    return _split(template)


def _split(template: str) -> tuple[Part, ...]:
    found: list[Part] = []
    end = 0
    while (start := template.find(OPENING, end)) >= 0:
        if len(found) > 2 * limits.TEMPLATE_HOLES:
            many = f"the text holds more than {limits.TEMPLATE_HOLES} expressions"
            raise ExpressionError(many, template, start)
        stop = _closing(template, start)
        found += [template[end:start], Hole(template[start + len(OPENING) : stop])]
        end = stop + len(_CLOSING)
    return tuple(part for part in (*found, template[end:]) if part)


def _closing(template: str, start: int) -> int:
    """Where the braces close that open at `start`; a map's own braces are passed over."""
    depth = 0
    for part in _PART.finditer(template, start + len(OPENING), start + limits.SOURCE_CHARS):
        if part[0] == "{":
            depth += 1
        elif part[0] == "}":
            if not depth and template.startswith(_CLOSING, part.start()):
                return part.start()
            depth = max(0, depth - 1)
    raise ExpressionError("{{ is not closed by }}", template, start)


def whole(text: str) -> str:
    """The source of a field that is one expression, with braces around it or without."""
    stripped = text.strip()
    if not stripped.startswith(OPENING):
        return text
    split = parts(stripped)
    return split[0].source if len(split) == 1 and isinstance(split[0], Hole) else text


def filled(template: str, fill: Callable[[str], str]) -> str:
    """The template with each hole replaced by what `fill` makes of its source."""
    return "".join(part if isinstance(part, str) else fill(part.source) for part in parts(template))
