"""The expr language (https://expr-lang.org) in a sandbox, without dependencies on the rest of tork_celery.

An expression reads the names of its context and nothing else. The functions of this module raise
ExpressionError and no other exception, unless a host function raises one. README.md describes the language
and the layout of the package.
"""

from collections.abc import Mapping

from tork_celery.expr import limits, template
from tork_celery.expr.errors import ExpressionError
from tork_celery.expr.evaluation import Budget, HostFunctions
from tork_celery.expr.program import load_program
from tork_celery.expr.values.durations import Duration, parse_nanoseconds
from tork_celery.expr.values.go_format import to_text
from tork_celery.expr.values.lazy_map import LazyMap, MapSource
from tork_celery.expr.values.types import type_name

__all__ = [
    "Budget",
    "Duration",
    "ExpressionError",
    "HostFunctions",
    "LazyMap",
    "MapSource",
    "check",
    "check_template",
    "check_whole",
    "evaluate",
    "evaluate_whole",
    "is_template",
    "parse_nanoseconds",
    "render",
    "template_names",
    "to_text",
    "type_name",
]


def check(source: str) -> None:
    """Raise ExpressionError for a text that is not an expression, or that no context makes valid."""
    load_program(source)


def evaluate(
    source: str,
    context: Mapping[str, object],
    host: HostFunctions,
    *,
    budget: Budget | None = None,
) -> object:
    """Return the value of an expression: a JSON value, a datetime, a Duration or a tzinfo.

    Several evaluations may share a `budget`.
    """
    return load_program(source).evaluate(context, host, budget)


def check_whole(text: str) -> None:
    """Check a text that is one expression, with or without `{{ }}` around it. Raises ExpressionError."""
    check(template.strip_braces(text))


def evaluate_whole(
    text: str,
    context: Mapping[str, object],
    host: HostFunctions,
    *,
    budget: Budget | None = None,
) -> object:
    """Evaluate a text that is one expression, with or without `{{ }}` around it."""
    return evaluate(template.strip_braces(text), context, host, budget=budget)


def is_template(text: str) -> bool:
    """Return whether a text contains the beginning of an expression, `{{`."""
    return template.OPENING in text


def check_template(text: str) -> None:
    """Check the expressions in a text. Raises ExpressionError for an invalid one, and for unclosed braces."""
    for part in template.split(text):
        if isinstance(part, template.Placeholder):
            check(part.source)


def template_names(text: str) -> frozenset[str]:
    """Return the names that the expressions in a text read from their context, and their own variables."""
    sources = (part.source for part in template.split(text) if isinstance(part, template.Placeholder))
    return frozenset().union(*(load_program(source).names for source in sources))


def render(
    text: str,
    context: Mapping[str, object],
    host: HostFunctions,
    *,
    budget: Budget | None = None,
) -> str:
    """Replace each `{{ expression }}` in a text by its value, as `to_text` writes it.

    All expressions of the text share a `budget`, even if the caller passes none.
    """
    if not is_template(text):
        return text
    shared = Budget(limits.STEPS) if budget is None else budget
    return template.fill(
        text, lambda source: to_text(evaluate(source, context, host, budget=shared), shared), shared
    )
